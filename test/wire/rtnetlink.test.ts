import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { MessageWriter, readMessages } from '../../src/wire/netlink.js';
import { readLinkMessage, writeLinkRequest } from '../../src/wire/rtnetlink.js';
import { addresses } from '../net/arbitraries.js';
import { assertDecoderTotal } from './corpus.js';

function built(type: number, header: Buffer, attributes: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  writer.begin(type, 0, 1);
  writer.header(header);
  attributes(writer);
  writer.end();
  return writer.finish();
}

function linkBytes(index: number, flags: number, name: string, mac: Uint8Array, mtu: number, deleted = false): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  return built(deleted ? 17 : 16, header, (writer) => {
    writer.text(3, name);
    writer.u32host(4, mtu);
    writer.bytes(1, mac);
  });
}

function read(bytes: Buffer) {
  const [message] = readMessages(bytes);
  assert.ok(message);
  return readLinkMessage(message);
}

test('links come back as the kernel would tell them', () => {
  const link = fc.record(
    {
      index: fc.integer({ min: 1, max: 0x7fff_ffff }),
      up: fc.boolean(),
      running: fc.boolean(),
      loopback: fc.boolean(),
      name: fc.string({ unit: fc.constantFrom('a', '0', '.', '-'), minLength: 1, maxLength: 15 }),
      mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
      mtu: fc.nat(65_536),
      deleted: fc.boolean(),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(link, ({ deleted, ...expected }) => {
      const flags = (expected.up ? 1 : 0) | (expected.loopback ? 8 : 0) | (expected.running ? 0x40 : 0) | 0x1000;
      assert.deepEqual(read(linkBytes(expected.index, flags, expected.name, expected.mac, expected.mtu, deleted)), {
        kind: 'link',
        op: deleted ? 'delete' : 'new',
        flags,
        ...expected,
      });
    }),
  );
});

test('addresses come back, with a peer where there is one', () => {
  fc.assert(
    fc.property(addresses, fc.nat(128), fc.boolean(), fc.nat(1000), (own, prefixLength, usable, index) => {
      const header = Buffer.from([own.family === 4 ? 2 : 10, prefixLength, 0, 253, 0, 0, 0, 0]);
      header.writeUInt32LE(index, 4);
      const peer = parseAddress(own.family === 4 ? '192.0.2.9' : '2001:db8::9');
      for (const withPeer of [false, true]) {
        const bytes = built(20, header, (writer) => {
          writer.bytes(1, addressBytes(withPeer ? peer : own));
          if (withPeer) writer.bytes(2, addressBytes(own));
          writer.u32host(8, usable ? 0x80 : 0x40);
        });
        const differs = withPeer && own.value !== peer.value;
        assert.deepEqual(read(bytes), {
          kind: 'address',
          op: 'new',
          index,
          address: own,
          prefixLength,
          ...(differs ? { peer } : {}),
          scope: 253,
          usable,
        });
      }
    }),
  );
});

test("a bridge's word about a port is no link that goes away", () => {
  const bytes = linkBytes(3, 1, 'lan0', Uint8Array.of(2, 0, 0, 0, 0, 1), 1500, true);
  bytes[16] = 7;
  assert.equal(read(bytes), undefined);
});

test('requests ask for everything', () => {
  for (const [what, hex] of [
    ['links', `20000000${'1200'}0103${'01000000'}00000000${'00'.repeat(16)}`],
    ['addresses', `18000000${'1600'}0103${'01000000'}00000000${'00'.repeat(8)}`],
  ] as const) {
    const writer = new MessageWriter();
    writeLinkRequest(writer, 1, what);
    assert.equal(writer.finish().toString('hex'), hex);
  }
});

test('no bytes make the decoder fail in an unknown way', () => {
  const good = [
    linkBytes(2, 0x41, 'eth0', Uint8Array.of(2, 0, 0, 0, 0, 1), 1500),
    built(20, Buffer.from('0a40008002000000', 'hex'), (writer) => {
      writer.bytes(1, addressBytes(parseAddress('2001:db8::1')));
      writer.u32host(8, 0x80);
    }),
  ];
  assertDecoderTotal((bytes) => readMessages(bytes).map(readLinkMessage), good);
});
