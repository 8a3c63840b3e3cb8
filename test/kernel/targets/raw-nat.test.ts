/** RAWDNAT and RAWSNAT through the real kernel: packets one by one, and real clients with and without offload. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { formatAddress } from '../../../src/net/address.js';
import { transportChecksum } from '../../../src/wire/checksum.js';
import { decodePacket, encodePacket, type Packet } from '../../../src/wire/packet.js';
import { ping, tcp, udp } from '../scratch-world.js';
import { address, bed, inBoth } from '../traffic/bed.js';
import { targetBed } from './bed.js';

const { host, leaving, policy } = await targetBed({ after });

test('RAWDNAT gives packets the network of the rule and keeps the host, of both families and all protocols', async () => {
  await policy(
    'prerouting',
    '{ to: 203.0.113.0/24, do: rawdnat to 198.51.100.0/24 }',
    '{ to: 2001:db8:50::/64, do: rawdnat to 2001:db8:1::/64 }',
  );
  for (const make of [udp, tcp] as const) {
    const four = await leaving(make('192.0.2.9', '203.0.113.77', 80));
    assert.deepEqual(
      four.map(({ device, from, to }) => [device, from, to]),
      [['lan', '192.0.2.9', '198.51.100.77']],
    );
    const six = await leaving(make('2001:db8:7::9', '2001:db8:50::77', 80));
    assert.deepEqual(
      six.map(({ device, to }) => [device, to]),
      [['lan', '2001:db8:1::77']],
    );
  }
  assert.equal((await leaving(ping('192.0.2.9', '203.0.113.77')))[0]?.to, '198.51.100.77');
  assert.equal((await leaving(ping('2001:db8:7::9', '2001:db8:50::77')))[0]?.to, '2001:db8:1::77');
  const others = await leaving(udp('192.0.2.9', '198.51.100.77', 80));
  assert.equal(others[0]?.to, '198.51.100.77');
});

test('RAWDNAT translates fragments one by one, and leaves a missing checksum missing', async () => {
  await policy('prerouting', '{ to: 203.0.113.0/24, do: rawdnat to 198.51.100.0/24 }');
  const bytes = encodePacket(udp('192.0.2.9', '203.0.113.77', 80, Buffer.alloc(64, 7)));
  const half = (offset: number, more: boolean): Buffer => {
    const part = { id: 9, offset, more };
    const payload = bytes.subarray(20 + offset, more ? 20 + offset + 40 : undefined);
    return encodePacket({ ...decodePacket(bytes), udp: undefined, fragment: part, payload } as unknown as Packet);
  };
  const [first] = await host.scratch.inject([{ packet: half(0, true), at: { device: 'wan' } }]);
  const [second] = await host.scratch.inject([{ packet: half(40, false), at: { device: 'wan' } }]);
  const parts = [...first!.frames, ...second!.frames].map(({ bytes: frame }) => Buffer.from(frame.subarray(14)));
  assert.ok(parts.length > 0);
  for (const part of parts) assert.equal(formatAddress(decodePacket(part).destination), '198.51.100.77');
  const whole = Buffer.concat(parts.map((part) => part.subarray(20)));
  const { source, destination } = decodePacket(parts[0]!);
  assert.equal(transportChecksum(source, destination, 17, whole), 0, 'of the datagram put together');

  const without = encodePacket(udp('192.0.2.9', '203.0.113.77', 80));
  without.writeUInt16BE(0, 26);
  assert.equal((await leaving(without))[0]?.bytes.readUInt16BE(26), 0);
});

test('RAWSNAT translates in postrouting, and RAWDNAT in output sends by the new route', async () => {
  await policy('postrouting', '{ out: wan, from: 198.51.100.0/24, do: rawsnat to 203.0.113.0/24 }');
  const out = await leaving(udp('198.51.100.7', '192.0.2.9', 53), { device: 'lan' });
  assert.deepEqual(
    out.map(({ device, from }) => [device, from]),
    [['wan', '203.0.113.7']],
  );
  await policy(
    'output',
    '{ to: 203.0.113.0/24, do: rawdnat to 198.51.100.0/24 }',
    '{ to: 2001:db8:50::/64, do: rawdnat to 2001:db8:1::/64 }',
  );
  const own = await leaving(udp('192.0.2.1', '203.0.113.8', 53), { local: {} });
  assert.deepEqual(
    own.map(({ device, to }) => [device, to]),
    [['lan', '198.51.100.8']],
  );
  const six = await leaving(udp('2001:db8::1', '2001:db8:50::8', 53), { local: {} });
  assert.deepEqual(
    six.map(({ device, to }) => [device, to]),
    [['lan', '2001:db8:1::8']],
  );
});

const mapped = { 4: '203.0.113.10', 6: '2001:db8:50::10' } as const;

/** Both ways, from outside and from the gate itself; the networks inside are seen by other addresses. */
const bothWays = `
hygiene: off
chains:
  prerouting:
    rules:
      - { in: wan, to: 203.0.113.0/24, do: rawdnat to 192.0.2.0/24 }
      - { in: wan, to: 2001:db8:50::/64, do: rawdnat to 2001:db8:1::/64 }
      - { in: lan, from: 192.0.2.10, to: 192.0.2.1, do: rawsnat to 203.0.113.0/24 }
      - { in: lan, from: "2001:db8:1::10", to: "2001:db8:1::1", do: rawsnat to 2001:db8:50::/64 }
      - { in: lan, do: notrack }
  output:
    rules:
      - { to: 203.0.113.0/24, do: rawdnat to 192.0.2.0/24 }
      - { to: 2001:db8:50::/64, do: rawdnat to 2001:db8:1::/64 }
  postrouting:
    rules:
      - { out: wan, from: 192.0.2.0/24, do: rawsnat to 203.0.113.0/24 }
      - { out: wan, from: 2001:db8:1::/64, do: rawsnat to 2001:db8:50::/64 }
`;

test('clients reach a mapped network over TCP, UDP, ICMP and fragments of both families, with checksum offload and without', async (t) => {
  const net = await bed(t);
  await net.load(bothWays);
  // A datagram is answered from an address of the kernel's choice: there shall be one.
  await net.inside.space.run('ip', 'address', 'del', `${address.second[6]}/64`, 'dev', 'eth0');
  await net.inside.serve(7000);
  await net.gate.space.run('ip', 'route', 'add', '203.0.113.0/24', 'via', address.inside[4], 'src', address.lan[4]);
  await net.gate.space.run(
    'ip',
    '-6',
    'route',
    'add',
    '2001:db8:50::/64',
    'via',
    address.inside[6],
    'src',
    address.lan[6],
  );
  for (const offload of ['on', 'off']) {
    for (const [space, device] of [
      [net.outside.space, 'eth0'],
      [net.gate.space, 'wan'],
      [net.gate.space, 'lan'],
      [net.inside.space, 'eth0'],
    ] as const) {
      await space.run('ethtool', '-K', device, 'tx', offload);
    }
    await inBoth(async (family) => {
      const to = mapped[family];
      const label = `IPv${family}, offload ${offload}`;
      const name = `${family} ${offload}`;
      const connected = await net.outside.tcp(to, 7000, { hold: name, withinMs: 5000 });
      assert.equal(connected.result, 'ok', `TCP ${label}`);
      assert.match(connected.text ?? '', new RegExp(`^${address.outside[family]} .* ${address.inside[family]} 7000$`));
      assert.equal((await net.outside.upload(name, 40_000)).result, 'ok', `40 kB over TCP ${label}`);
      await net.outside.close(name);
      assert.equal((await net.outside.udp(to, 7000)).result, 'ok', `UDP ${label}`);
      for (const bytes of [8, 4000]) assert.equal(await net.outside.ping(to, bytes), 'ok', `${bytes} bytes ${label}`);
      assert.equal((await net.gate.udp(to, 7000)).result, 'ok', `UDP of the gate ${label}`);
      assert.equal((await net.gate.tcp(to, 7000, { withinMs: 5000 })).result, 'ok', `TCP of the gate ${label}`);
      assert.equal(await net.gate.ping(to, 4000), 'ok', `fragments of the gate ${label}`);
    });
  }
  for (const family of ['ipv4', 'ipv6']) {
    const { stdout } = await net.gate.space.run('conntrack', '-L', '-f', family);
    assert.doesNotMatch(stdout, /port=7000/, 'nothing is tracked');
  }
});
