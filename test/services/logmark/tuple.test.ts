import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../../src/net/address.js';
import { tupleOf } from '../../../src/services/logmark/tuple.js';
import { encodePacket, type Packet, PROTOCOL } from '../../../src/wire/packet.js';
import { ping, tcp, udp } from '../../kernel/scratch-world.js';

const of = (packet: Packet) => tupleOf(encodePacket(packet));

test('TCP and UDP are known by addresses and ports, echoes by their number', () => {
  for (const [from, to] of [
    ['192.0.2.1', '198.51.100.1'],
    ['2001:db8::1', '2001:db8:1::1'],
  ] as const) {
    for (const packet of [tcp(from, to, 80, 2, 4000), udp(from, to, 80)]) {
      const tuple = of(packet);
      assert.deepEqual([formatAddress(tuple!.source), formatAddress(tuple!.destination)], [from, to]);
      assert.equal(tuple?.destinationPort, 80);
    }
    const echo = of(ping(from, to));
    assert.deepEqual(echo?.icmp, { id: 7, type: from.includes(':') ? 128 : 8, code: 0 });
  }
});

test('an error is of the connection of the packet that it carries', () => {
  const refused = udp('198.51.100.1', '192.0.2.1', 53);
  const error = (version: 4 | 6, inner: Packet): Packet => ({
    ...ping(version === 4 ? '192.0.2.1' : '2001:db8::1', version === 4 ? '198.51.100.1' : '2001:db8:1::1'),
    icmp: { type: version === 4 ? 3 : 1, code: 3 },
    payload: encodePacket(inner),
  });
  const tuple = of(error(4, refused));
  assert.deepEqual(
    [formatAddress(tuple!.source), tuple?.protocol, tuple?.destinationPort],
    ['198.51.100.1', PROTOCOL.UDP, 53],
  );
  const six = of(error(6, udp('2001:db8:1::1', '2001:db8::1', 53)));
  assert.deepEqual([formatAddress(six!.source), six?.destinationPort], ['2001:db8:1::1', 53]);
});

test('what is cut has no tuple', () => {
  const packet = encodePacket(tcp('192.0.2.1', '198.51.100.1', 80));
  for (const bytes of [0, 10, 20, 23]) assert.equal(tupleOf(packet.subarray(0, bytes)), undefined, `${bytes} bytes`);
});
