import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checksumOf, sumWords } from '../../src/wire/checksum.js';
import { align, CONTROL, MessageWriter, messageEnd } from '../../src/wire/netlink.js';
import {
  LoggedPacket,
  writeBindGroup,
  writeGroupConfig,
  writeGroupThreshold,
  writeUnbindGroup,
} from '../../src/wire/nflog.js';
import { assertDecoderTotal } from './corpus.js';

interface Logged {
  readonly group: number;
  readonly hook: number;
  readonly mark: number;
  readonly inDevice: number;
  readonly outDevice: number;
  readonly sequence: number;
  readonly prefix: string;
  readonly payload: Uint8Array;
}

function write(writer: MessageWriter, logged: Logged): void {
  writer.begin(0x0400, 0, 0);
  writer.header(Uint8Array.of(2, 0, logged.group >> 8, logged.group & 255));
  writer.bytes(1, Uint8Array.of(8, 0, logged.hook, 0));
  writer.text(10, logged.prefix);
  if (logged.inDevice !== 0) writer.u32(4, logged.inDevice);
  if (logged.outDevice !== 0) writer.u32(5, logged.outDevice);
  if (logged.mark !== 0) writer.u32(2, logged.mark);
  writer.u32(12, logged.sequence);
  writer.bytes(3, new Uint8Array(16));
  writer.bytes(9, logged.payload);
  writer.end();
}

function readAll(datagram: Buffer): Logged[] {
  const packet = new LoggedPacket();
  const found: Logged[] = [];
  for (let at = 0, end = 0; at < datagram.length; at = align(end)) {
    end = messageEnd(datagram, at);
    if (!packet.read(datagram, at, end)) continue;
    const { group, hook, mark, inDevice, outDevice, sequence, prefix, payload } = packet;
    assert.equal(payload.length, packet.payloadBytes);
    found.push({ group, hook, mark, inDevice, outDevice, sequence, prefix, payload: Uint8Array.from(payload) });
  }
  return found;
}

const u32 = fc.nat(0xffff_ffff);
const logged: fc.Arbitrary<Logged> = fc.record(
  {
    group: fc.nat(65_535),
    hook: fc.nat(4),
    mark: u32,
    inDevice: u32,
    outDevice: u32,
    sequence: u32,
    prefix: fc.string({ unit: fc.constantFrom('a', ':', ' ', '9'), maxLength: 60 }),
    payload: fc.uint8Array({ maxLength: 200 }),
  },
  { noNullPrototype: true },
);

test('packets of a datagram come back one after the other; its end mark is none', () => {
  fc.assert(
    fc.property(fc.array(logged, { maxLength: 8 }), (packets) => {
      const writer = new MessageWriter(64);
      for (const packet of packets) write(writer, packet);
      writer.begin(CONTROL.DONE, 0, 0);
      writer.header(Buffer.alloc(4));
      writer.end();
      assert.deepEqual(readAll(writer.finish()), packets);
    }),
  );
});

test('a packet without attributes has nothing of the one before', () => {
  const writer = new MessageWriter();
  write(writer, {
    group: 5,
    hook: 1,
    mark: 2,
    inDevice: 3,
    outDevice: 4,
    sequence: 6,
    prefix: 'p',
    payload: Uint8Array.of(7),
  });
  writer.begin(0x0400, 0, 0);
  writer.header(Uint8Array.of(2, 0, 0, 9));
  writer.end();
  assert.deepEqual(readAll(writer.finish())[1], {
    group: 9,
    hook: 0,
    mark: 0,
    inDevice: 0,
    outDevice: 0,
    sequence: 0,
    prefix: '',
    payload: new Uint8Array(),
  });
});

test('groups are bound, configured and given back', () => {
  const hex = (make: (writer: MessageWriter) => void) => {
    const writer = new MessageWriter();
    make(writer);
    return writer.finish().toString('hex');
  };
  const config = { copyBytes: 128, bufferBytes: 131_072, threshold: 64, timeoutCentiseconds: 1 };
  const head = (bytes: string) => `${bytes}00000001040500${'07000000'}00000000${'00000005'}`;
  assert.equal(
    hex((writer) => writeBindGroup(writer, 7, 5)),
    `${head('1c')}0500010001000000`,
  );
  assert.equal(
    hex((writer) => writeUnbindGroup(writer, 7, 5)),
    `${head('1c')}0500010002000000`,
  );
  assert.equal(
    hex((writer) => writeGroupThreshold(writer, 7, 5, 64)),
    `${head('1c')}0800050000000040`,
  );
  assert.equal(
    hex((writer) => writeGroupConfig(writer, 7, 5, config)),
    `${head('40')}0a000200000000800200${'0000'}0800030000020000${'0800040000000001'}0800050000000040${'0600060000010000'}`,
  );
});

test('no bytes make the decoder fail in an unknown way', () => {
  const writer = new MessageWriter();
  const packet = { group: 5, hook: 1, mark: 2, inDevice: 3, outDevice: 4, sequence: 6, prefix: 'p' };
  write(writer, { ...packet, payload: Uint8Array.of(1, 2, 3, 4, 5) });
  assertDecoderTotal(readAll, [writer.finish()]);
});

test('the checksum is that of RFC 1071, of any length, in parts as in one', () => {
  const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(checksumOf(sumWords(example, 0, 8)), 0x220d);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(1500), (data, cut) => {
      const middle = Math.min(data.length, cut & ~1);
      const whole = checksumOf(sumWords(data, 0, data.length));
      assert.equal(checksumOf(sumWords(data, middle, data.length, sumWords(data, 0, middle))), whole);
      // Data that carries its own checksum sums up to nothing.
      if (data.length % 2 !== 0) return;
      const carried = Uint8Array.of(...data, whole >> 8, whole & 255);
      assert.equal(checksumOf(sumWords(carried, 0, carried.length)), 0);
    }),
  );
});

test('the header of a frame is found where the packet came by Ethernet, and nowhere else', () => {
  const frameOf = (linkType: number, bytes: number): number => {
    const writer = new MessageWriter(256);
    writer.begin(0x0400, 0, 0);
    writer.header(Uint8Array.of(2, 0, 0, 5));
    writer.bytes(15, Uint8Array.of(linkType >> 8, linkType & 255));
    writer.bytes(16, new Uint8Array(bytes).fill(7));
    writer.end();
    const datagram = writer.finish();
    const packet = new LoggedPacket();
    assert.ok(packet.read(datagram, 0, datagram.length));
    return packet.frameFrom === 0 ? 0 : datagram.readUInt8(packet.frameFrom + bytes - 1);
  };
  assert.equal(frameOf(1, 14), 7);
  assert.equal(frameOf(1, 18), 7);
  assert.equal(frameOf(1, 13), 0);
  assert.equal(frameOf(772, 14), 0);
  assert.equal(frameOf(65_534, 14), 0);
});
