import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  attributeMap,
  CONTROL,
  FLAG,
  HEADER_BYTES,
  MessageWriter,
  readAcknowledgement,
  readMessages,
  readText,
  readU32be,
  readU64be,
} from '../../src/wire/netlink.js';
import { assertDecoderTotal, assertTotal } from './corpus.js';

test('a message is a header and padded attributes', () => {
  const writer = new MessageWriter();
  writer.begin(0x0a0c, FLAG.REQUEST | FLAG.CREATE, 7);
  writer.header(Uint8Array.of(1, 0, 0, 10));
  writer.text(1, 'ab');
  const nested = writer.open(3);
  writer.u16(5, 0x1234);
  writer.close(nested);
  writer.end();
  assert.equal(
    writer.finish().toString('hex'),
    [
      '28000000',
      '0c0a',
      '0104',
      '07000000',
      '00000000',
      '0100000a',
      '0700010061620000',
      '0c000380',
      '0600050012340000',
    ].join(''),
  );
});

test('numbers, texts and bytes come back, however small the writer began', () => {
  const attribute = fc.record({
    type: fc.integer({ min: 1, max: 0x3fff }),
    u32: fc.nat(0xffff_ffff),
    u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    text: fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', ' ') }),
    bytes: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(attribute, fc.integer({ min: 1, max: 64 }), ({ type, u32, u64, text, bytes }, capacity) => {
      const writer = new MessageWriter(capacity);
      for (const write of [
        () => writer.u32(type, u32),
        () => writer.u64big(type, u64),
        () => writer.u64(type, u32),
        () => writer.text(type, text),
        () => writer.bytes(type, bytes),
        () => writer.u8(type, u32 & 255),
        () => writer.u16(type, u32 & 0xffff),
        () => writer.u32host(type, u32),
      ]) {
        writer.begin(1000, 0, u32);
        write();
        writer.end();
      }
      const payloads = readMessages(writer.finish()).map(({ body, seq, type: messageType }) => {
        assert.deepEqual([seq, messageType], [u32, 1000]);
        return attributeMap(body).get(type) ?? assert.fail('no attribute');
      });
      const [a, b, c, d, e, f, g, h] = payloads as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
      assert.equal(readU32be(a), u32);
      assert.equal(readU64be(b), u64);
      assert.equal(readU64be(c), BigInt(u32));
      assert.equal(readText(d), text);
      assert.deepEqual(new Uint8Array(e), bytes);
      assert.equal(f[0], u32 & 255);
      assert.equal(g.readUInt16BE(), u32 & 0xffff);
      assert.equal(h.readUInt32LE(), u32);
    }),
  );
});

/** NLMSG_ERROR with CAPPED and ACK_TLVS: ENOENT for message 1, its offset 20, its reason. */
const REFUSED = Buffer.from(
  [
    ['44000000', '0200', '0003', '01000000', 'd2040000'],
    ['feffffff', '2c000000', '0e0a', '0500', '01000000', '00000000'],
    ['0800', '0200', '14000000'],
    ['1700', '0100', Buffer.from('Set does not exist\0').toString('hex'), '00'],
  ]
    .flat()
    .join(''),
  'hex',
);

test('a refusal says why and where', () => {
  const [message] = readMessages(REFUSED);
  assert.ok(message);
  assert.deepEqual(readAcknowledgement(message), { seq: 1, errno: 2, offset: 20, reason: 'Set does not exist' });
});

test('an acknowledgement without the extended part is read too', () => {
  const writer = new MessageWriter();
  writer.begin(CONTROL.ERROR, 0, 9);
  writer.header(Buffer.from('00000000140000000b0a0500030000000000000000000000', 'hex'));
  writer.end();
  const [message] = readMessages(writer.finish());
  assert.ok(message);
  assert.deepEqual(readAcknowledgement(message), { seq: 3, errno: 0 });
});

test('an uncapped acknowledgement quotes the request before its attributes', () => {
  const writer = new MessageWriter();
  writer.begin(CONTROL.ERROR, FLAG.ACK_ATTRIBUTES, 9);
  writer.header(
    Buffer.from('eaffffff 18000000 0b0a0500 03000000 00000000 0100000a 0badcafe'.replaceAll(' ', ''), 'hex'),
  );
  writer.text(1, 'no');
  writer.end();
  const [message] = readMessages(writer.finish());
  assert.ok(message);
  assert.deepEqual(readAcknowledgement(message), { seq: 3, errno: 22, reason: 'no' });
});

test('no bytes make the framing fail in an unknown way', () => {
  const decode = (bytes: Buffer) => {
    for (const message of readMessages(bytes)) {
      attributeMap(message.body);
      if (message.type === CONTROL.ERROR) readAcknowledgement(message);
    }
  };
  const writer = new MessageWriter();
  writer.begin(1000, 0, 1);
  writer.text(1, 'postern');
  writer.end();
  assertDecoderTotal(decode, [writer.finish()]);
  const acknowledge = (bytes: Buffer) => readMessages(bytes).map(readAcknowledgement);
  assertDecoderTotal(acknowledge, [REFUSED]);
  const quotesTooMuch = Buffer.from(REFUSED);
  quotesTooMuch.writeUInt32LE(0x8000_002c, HEADER_BYTES + 4);
  assertTotal(acknowledge, quotesTooMuch);
});
