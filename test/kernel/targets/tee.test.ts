/** TEE through the real kernel: copies and originals as they leave. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { udp } from '../scratch-world.js';
import { targetBed } from './bed.js';

const { leaving, policy } = await targetBed({ after });

test('TEE sends a copy by the route or by the device, and the packet goes on', async () => {
  await policy(
    'prerouting',
    '{ udp: 7001, do: tee to 198.51.100.9 }',
    '{ udp: 7002, do: tee to 198.51.100.9 via lan }',
    '{ udp: 7003, do: tee to 2001:db8:1::9 via lan }',
    '{ udp: 7004, do: [ tee to 198.51.100.8, tee to 198.51.100.9 ] }',
  );
  for (const port of [7001, 7002]) {
    const seen = await leaving(udp('203.0.113.5', '203.0.113.9', port, Buffer.from('copy me')));
    assert.deepEqual(
      seen.map(({ device, to }) => `${device} ${to}`).sort(),
      ['lan 203.0.113.9', 'wan 203.0.113.9'],
      `port ${port}`,
    );
    for (const { packet } of seen) assert.equal(Buffer.from(packet.payload).toString(), 'copy me');
  }
  const six = await leaving(udp('2001:db8:7::9', '2001:db8:9::9', 7003));
  assert.deepEqual(six.map(({ device }) => device).sort(), ['lan', 'wan']);
  const two = await leaving(udp('203.0.113.5', '203.0.113.9', 7004));
  assert.deepEqual(two.map(({ device }) => device).sort(), ['lan', 'lan', 'wan']);
  assert.equal((await leaving(udp('203.0.113.5', '203.0.113.9', 7005))).length, 1, 'others have no copy');
});

test('TEE copies what this host sends, in output and postrouting, by the route or by the device', async () => {
  for (const chain of ['output', 'postrouting']) {
    await policy(
      chain,
      '{ udp: 7001, do: tee to 198.51.100.9 }',
      '{ udp: 7002, do: tee to 198.51.100.9 via lan }',
      '{ udp: 7003, do: tee to 2001:db8:1::9 }',
      '{ udp: 7004, do: tee to 2001:db8:1::9 via lan }',
    );
    for (const [port, from, to] of [
      [7001, '192.0.2.1', '192.0.2.9'],
      [7002, '192.0.2.1', '192.0.2.9'],
      [7003, '2001:db8::1', '2001:db8::9'],
      [7004, '2001:db8::1', '2001:db8::9'],
    ] as const) {
      const seen = await leaving(udp(from, to, port, Buffer.from('copy me')), { local: {} });
      assert.deepEqual(seen.map(({ device }) => device).sort(), ['lan', 'wan'], `${chain} ${port}`);
      for (const one of seen) {
        assert.deepEqual([one.from, one.to], [from, to], `${chain} ${port}`);
        assert.equal(Buffer.from(one.packet.payload).toString(), 'copy me');
        assert.equal(one.bytes[from.includes(':') ? 7 : 8], 64, 'neither has lost a hop');
      }
    }
    const other = await leaving(udp('192.0.2.1', '192.0.2.9', 7005), { local: {} });
    assert.deepEqual(
      other.map(({ device }) => device),
      ['wan'],
    );
  }
});
