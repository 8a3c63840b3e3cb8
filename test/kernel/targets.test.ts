/** RAWDNAT, RAWSNAT, TEE, STEAL, CHECKSUM and DHCPMAC through the real kernel, checksums recomputed. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Entry } from '../../src/kernel/scratch.js';
import { formatAddress } from '../../src/net/address.js';
import { transportChecksum } from '../../src/wire/checksum.js';
import { decodePacket, encodePacket, type Packet } from '../../src/wire/packet.js';
import { decodeGolden } from '../vectors/golden.js';
import { goldenHost } from '../vectors/golden-host.js';
import { ping, tcp, udp } from './scratch-world.js';

const host = await goldenHost({ after });

interface Seen {
  readonly device: string;
  readonly from: string;
  readonly to: string;
  readonly packet: Packet;
  readonly bytes: Buffer;
}

/** What leaves for a packet; each checksum is verified. */
async function leaving(packet: Packet | Buffer, at: Entry = { device: 'wan' }): Promise<readonly Seen[]> {
  const bytes = Buffer.isBuffer(packet) ? packet : encodePacket(packet);
  const [run] = await host.scratch.inject([{ packet: bytes, at }]);
  return run!.frames.map((frame) => {
    const sent = Buffer.from(frame.bytes.subarray(14));
    assert.notEqual(decodeGolden(sent).l4_csum_ok, false, `${frame.device}: the checksum`);
    const decoded = decodePacket(sent);
    return {
      device: frame.device,
      from: formatAddress(decoded.source),
      to: formatAddress(decoded.destination),
      packet: decoded,
      bytes: sent,
    };
  });
}

const policy = (chain: string, ...rules: readonly string[]): Promise<unknown> =>
  host.policy(`version: 1\nchains:\n  ${chain}:\n    rules:\n${rules.map((rule) => `      - ${rule}`).join('\n')}\n`);

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

test('STEAL takes what this host sends without an error, and lets others go', async () => {
  await policy('output', '{ udp: 4004, out: [wan, lan], do: steal }', '{ udp: 4005, out: wan, do: drop }');
  for (const [from, to] of [
    ['192.0.2.1', '203.0.113.9'],
    ['2001:db8::1', '2001:db8:9::9'],
  ] as const) {
    const packet = (port: number) => encodePacket(udp(from, to, port));
    const [stolen] = await host.scratch.inject([{ packet: packet(4004), at: { local: {} } }]);
    assert.deepEqual([stolen!.refused, stolen!.frames.length], [undefined, 0], to);
    const [dropped] = await host.scratch.inject([{ packet: packet(4005), at: { local: {} } }]);
    assert.equal(dropped!.refused, 'EPERM', 'a drop is told');
    const [other] = await host.scratch.inject([{ packet: packet(4006), at: { local: {} } }]);
    assert.equal(other!.frames.length, 1);
  }
});

test('CHECKSUM sends UDP over IPv4 without a checksum, and leaves IPv6 alone', async () => {
  await policy('postrouting', '{ udp: 68, out: lan, do: { checksum: { guests: true } } }');
  const [four] = await leaving(udp('192.0.2.9', '198.51.100.9', 68));
  assert.equal(four?.bytes.readUInt16BE(26), 0);
  const [six] = await leaving(udp('2001:db8:7::9', '2001:db8:1::9', 68));
  assert.notEqual(six?.bytes.readUInt16BE(46), 0);
});

/** A DHCP message with this client hardware address. */
function dhcp(source: string, destination: string, port: 67 | 68, mac: string): Packet {
  const message = Buffer.alloc(300);
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(message, 28);
  return udp(source, destination, port, message);
}

test('DHCPMAC exchanges the prefix in both directions and keeps the rest and the checksum', async () => {
  for (const [length, old, fresh, mac, wanted] of [
    [24, '00:50:56:00:00:00', 'ab:cd:ef:00:00:00', '00:50:56:12:34:56', 'ab:cd:ef:12:34:56'],
    [48, '00:50:56:12:34:56', '02:00:00:00:00:01', '00:50:56:12:34:56', '02:00:00:00:00:01'],
    [20, '00:50:50:00:00:00', 'ff:ff:f0:00:00:00', '00:50:56:12:34:56', 'ff:ff:f6:12:34:56'],
  ] as const) {
    for (const port of [67, 68] as const) {
      await policy('forward', `{ udp: ${port}, dhcpmac: ${old}/${length}, do: dhcpmac to ${fresh}/${length} }`);
      const read = ({ bytes }: Seen) =>
        bytes
          .subarray(56, 62)
          .toString('hex')
          .replaceAll(/..(?!$)/g, '$&:');
      const seen = await leaving(dhcp('192.0.2.9', '198.51.100.9', port, mac));
      assert.deepEqual(seen.map(read), [wanted], `/${length} port ${port}`);
      assert.equal(seen[0]?.packet.udp?.destinationPort, port);
      const other = await leaving(dhcp('192.0.2.9', '198.51.100.9', port, '0a:00:00:00:00:01'));
      assert.deepEqual(other.map(read), ['0a:00:00:00:00:01']);
      const plain = encodePacket(dhcp('192.0.2.9', '198.51.100.9', port, mac));
      plain.writeUInt16BE(0, 26);
      const without = await leaving(plain);
      assert.deepEqual([without[0]?.bytes.readUInt16BE(26), without.map(read)], [0, [wanted]]);
    }
  }
});
