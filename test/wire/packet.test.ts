import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, type Family, highestValue } from '../../src/net/address.js';
import { checksum, transportChecksum } from '../../src/wire/checksum.js';
import { decodePacket, encodePacket, flagNames, type Packet, PROTOCOL } from '../../src/wire/packet.js';

const addressIn = (family: Family): fc.Arbitrary<Address> =>
  fc.bigInt({ min: 0n, max: highestValue(family) }).map((value) => ({ family, value }));
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const payload = fc.uint8Array({ maxLength: 100 });

const plain = { noNullPrototype: true } as const;
const tcp = fc.record(
  { sourcePort: u16, destinationPort: u16, flags: fc.nat(255), sequence: u32, acknowledgement: u32, window: u16 },
  plain,
);
const transports = (family: Family): fc.Arbitrary<Partial<Packet> & { protocol: number }> =>
  fc.oneof(
    fc.record({ protocol: fc.constant(PROTOCOL.TCP), tcp }),
    fc.record({
      protocol: fc.constant(PROTOCOL.UDP),
      udp: fc.record({ sourcePort: u16, destinationPort: u16 }, plain),
    }),
    fc.record({
      protocol: fc.constant(family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6),
      icmp: fc.record({ type: fc.nat(255), code: fc.nat(255), rest: bytes(4) }, plain),
    }),
    fc.record({ protocol: fc.constantFrom(47, 50, 132) }),
  );

const packets: fc.Arbitrary<Packet> = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc
    .record({
      ends: fc.tuple(addressIn(family), addressIn(family)),
      ttl: fc.nat(255),
      tos: fc.nat(255),
      transport: transports(family),
      payload,
    })
    .map(({ ends: [source, destination], transport, ...rest }) => ({ source, destination, ...rest, ...transport })),
);

test('what is written of a packet is what is read of it', () => {
  fc.assert(fc.property(packets, (packet) => assert.deepEqual(decodePacket(encodePacket(packet)), packet)));
});

test('IPv4 options and fragments survive the round trip', () => {
  const packet: Packet = {
    source: { family: 4, value: 0xc0000201n },
    destination: { family: 4, value: 0xcb007105n },
    protocol: PROTOCOL.UDP,
    ttl: 1,
    tos: 0,
    options: Uint8Array.of(0x94, 4, 0, 0),
    fragment: { id: 77, offset: 16, more: true },
    payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  };
  assert.deepEqual(decodePacket(encodePacket(packet)), packet);
});

test('the checksums of a packet are right: summed with them, everything comes to zero', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const data = encodePacket(packet);
      const v4 = packet.source.family === 4;
      if (v4) assert.equal(checksum(data.subarray(0, 20)), 0);
      const segment = data.subarray(v4 ? 20 : 40);
      if (packet.protocol === PROTOCOL.ICMP) assert.equal(checksum(segment), 0);
      if (packet.tcp ?? packet.udp ?? (!v4 && packet.icmp)) {
        assert.equal(transportChecksum(packet.source, packet.destination, packet.protocol, segment), 0);
      }
    }),
  );
});

test('a checksum is that of the example of RFC 1071 section 3', () => {
  assert.equal(checksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)), ~0xddf2 & 0xffff);
});

test('any bytes are read or refused as no packet, never with another error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0x45, 0x60, 0x4f, 0), (data, first) => {
      const [, ...rest] = data;
      try {
        decodePacket(Uint8Array.from([first, ...rest]));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'invalid');
      }
    }),
  );
});

test('an extension header of IPv6 is stepped over', () => {
  const plain = encodePacket({
    source: { family: 6, value: 1n },
    destination: { family: 6, value: 2n },
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 7, destinationPort: 9 },
    payload: new Uint8Array(0),
  });
  const head = Buffer.from(plain.subarray(0, 40));
  head[6] = 0;
  head.writeUInt16BE(16, 4);
  const options = Uint8Array.of(PROTOCOL.UDP, 0, 1, 4, 0, 0, 0, 0);
  const { udp, protocol } = decodePacket(Buffer.concat([head, options, plain.subarray(40)]));
  assert.deepEqual(udp, { sourcePort: 7, destinationPort: 9 });
  assert.equal(protocol, PROTOCOL.UDP);
});

test('flags are named as tcpdump and nft name them', () => {
  assert.equal(flagNames(0x12), 'syn,ack');
  assert.equal(flagNames(0), 'none');
});
