import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/net/address.js';
import {
  type IpsetShape,
  readIpsetListing,
  readIpsetRevision,
  refusedElement,
  writeIpsetCreate,
  writeIpsetDestroy,
  writeIpsetElements,
  writeIpsetFlush,
  writeIpsetHeaderRequest,
  writeIpsetListRequest,
  writeIpsetSwap,
  writeIpsetTest,
  writeIpsetTypeRequest,
} from '../../src/wire/ipset.js';
import type { IpsetElement } from '../../src/wire/ipset-element.js';
import { align, attributeMap, MessageWriter, messageEnd, readMessages } from '../../src/wire/netlink.js';
import { addressesOf, families } from '../net/arbitraries.js';
import { assertDecoderTotal } from './corpus.js';

function written(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(32);
  write(writer);
  return writer.finish();
}

/** The attributes as strace shows them, without the headers. */
function attributes(write: (writer: MessageWriter) => void): string {
  return written(write).subarray(20).toString('hex');
}

const PLAIN: IpsetShape = {
  type: 'hash:ip',
  family: 6,
  timeout: false,
  counters: true,
  comment: false,
  skbinfo: false,
  maxElements: 77,
};

test('sets are made as the ipset command makes them', () => {
  assert.equal(
    attributes((writer) => writeIpsetCreate(writer, 1, 'n', PLAIN, 6)),
    '05000100070000000600020' +
      '06e0000000c000300686173683a697000050004000600000005000500' +
      '0a00000014000780' +
      '0800084000000008' +
      '080013400000004d',
  );
  const bitmap: IpsetShape = {
    ...PLAIN,
    type: 'bitmap:ip',
    family: 4,
    counters: false,
    timeout: true,
    range: { first: parseAddress('192.0.2.0'), last: parseAddress('192.0.2.255') },
  };
  assert.equal(
    attributes((writer) => writeIpsetCreate(writer, 1, 'm', bitmap, 3)),
    '0500010007000000060002006d0000000e0003006269746d61703a697000000005000400030000000500050002000000' +
      '24000780' +
      '0c00018008000140c0000200' +
      '0c00028008000140c00002ff' +
      '0800064000000000',
  );
});

test('elements are added and deleted as the ipset command does', () => {
  const full: IpsetElement = {
    address: parseAddress('10.0.0.0'),
    prefixLength: 8,
    timeoutSeconds: 60,
    comment: 'hi',
    skbinfo: { mark: 1, mask: 0xff, priority: 0x10002, queue: 3 },
  };
  const lines = '05000100070000000600020062000000' + '0800094000000000';
  assert.equal(
    attributes((writer) => writeIpsetElements(writer, 'add', 1, 'b', [full])),
    `${lines}500008804c000780` +
      '0c000180080001400a000000' +
      '0500030008000000' +
      '080006400000003c' +
      '07001a0068690000' +
      '0c001b4000000001000000ff' +
      '08001c4000010002' +
      '06001d4000030000' +
      '0800094000000000',
  );
  const [message] = readMessages(
    written((writer) =>
      writeIpsetElements(writer, 'delete', 1, 'b', [{ address: parseAddress('10.1.2.3'), nomatch: true }]),
    ),
  );
  assert.equal(message?.type, 0x060a);
  assert.ok(message.body.toString('hex').includes('0c000180080001400a010203' + '0800084000000004'));
});

test('a recorded listing is read', () => {
  const body = Buffer.from(
    '02000000' +
      '0500010007000000' +
      '0600020062000000' +
      '0d000300686173683a6e657400000000' +
      '0500050002000000' +
      '0500040007000000' +
      '06000b4000000000' +
      '4c000780' +
      '0800124000000400' +
      '0800134000010000' +
      '050015000c000000' +
      '08001140c283fa38' +
      '0800194000000000' +
      '08001a400000038b' +
      '0800184000000003' +
      '080006400000000a' +
      '0800084000000058' +
      '98000880' +
      '5c000780' +
      '0c000180080001000a000000' +
      '0500030008000000' +
      '080006400000003b' +
      '0c0018400000000000000000' +
      '0c0019400000000000000000' +
      '07001a0068690000' +
      '0c001b4000000001000000ff' +
      '08001c4000010002' +
      '06001d4000030000' +
      '38000780' +
      '0c000180080001000a000008' +
      '050003001f000000' +
      '0800064000000009' +
      '0c0018400000000000000000' +
      '0c0019400000000000000000',
    'hex',
  );
  const listing = readIpsetListing({ type: 0x0607, flags: 2, seq: 1, port: 0, body });
  assert.deepEqual(listing, {
    header: {
      name: 'b',
      type: 'hash:net',
      family: 4,
      timeout: true,
      counters: true,
      comment: true,
      skbinfo: true,
      maxElements: 65_536,
      elements: 3,
      references: 0,
    },
    elements: [
      {
        address: parseAddress('10.0.0.0'),
        prefixLength: 8,
        timeoutSeconds: 59,
        packets: 0n,
        bytes: 0n,
        comment: 'hi',
        skbinfo: { mark: 1, mask: 0xff, priority: 0x10002, queue: 3 },
      },
      { address: parseAddress('10.0.0.8'), prefixLength: 31, timeoutSeconds: 9, packets: 0n, bytes: 0n },
    ],
  });
});

const element: fc.Arbitrary<IpsetElement> = families.chain((family) =>
  fc.record(
    {
      address: addressesOf(family),
      prefixLength: fc.nat(128),
      port: fc.nat(65_535),
      protocol: fc.nat(255),
      timeoutSeconds: fc.nat(2_147_483),
      nomatch: fc.constant(true),
      packets: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      bytes: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      comment: fc.string({ unit: fc.constantFrom('a', 'é', ' '), maxLength: 30 }),
      skbinfo: fc.record(
        { mark: fc.nat(0xffff_ffff), mask: fc.nat(0xffff_ffff), priority: fc.nat(0xffff_ffff), queue: fc.nat(65_535) },
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: ['address'], noNullPrototype: true },
  ),
);

test('elements come back as they were written, in as many messages as they need', () => {
  fc.assert(
    fc.property(fc.array(element, { maxLength: 12 }), fc.constantFrom(1, 60), (few, times) => {
      const all = Array.from({ length: times }, () => few).flat();
      const found: IpsetElement[] = [];
      for (let next = 0; next < all.length; ) {
        const [message] = readMessages(
          written((writer) => {
            next = writeIpsetElements(writer, 'add', 1, 'set', all, next);
          }),
        );
        // What lists and what adds differ by the command alone.
        found.push(...readIpsetListing({ ...(message ?? assert.fail()), type: 0x0607 }).elements);
      }
      assert.deepEqual(found, all);
    }),
  );
});

test('a refusal names the element by its number', () => {
  const message = written((writer) =>
    writeIpsetElements(writer, 'add', 1, 'b', [{ address: parseAddress('10.0.0.0') }], 0),
  );
  assert.equal(refusedElement(message), 0);
  const line = message.indexOf(Buffer.from('08000940', 'hex'));
  message.writeUInt32BE(41, line + 4);
  assert.equal(refusedElement(message), 41);
  assert.equal(refusedElement(message.subarray(0, 8)), undefined);
  assert.equal(refusedElement(written((writer) => writeIpsetFlush(writer, 1, 'b'))), undefined);
  for (let length = 0; length < message.length; length++) refusedElement(message.subarray(0, length));
});

test('the other requests name their set', () => {
  const requests: readonly (readonly [number, string | undefined, (writer: MessageWriter) => void])[] = [
    [0x0603, 'b', (writer) => writeIpsetDestroy(writer, 1, 'b')],
    [0x0604, 'b', (writer) => writeIpsetFlush(writer, 1, 'b')],
    [0x0606, 'b', (writer) => writeIpsetSwap(writer, 1, 'b', 'c')],
    [0x0607, 'b', (writer) => writeIpsetHeaderRequest(writer, 1, 'b')],
    [0x0607, 'b', (writer) => writeIpsetListRequest(writer, 1, 'b')],
    [0x060b, 'b', (writer) => writeIpsetTest(writer, 1, 'b', { address: parseAddress('192.0.2.1') })],
    [0x060d, undefined, (writer) => writeIpsetTypeRequest(writer, 1, 'hash:net', 6)],
  ];
  for (const [type, name, write] of requests) {
    const bytes = written(write);
    assert.equal(align(messageEnd(bytes, 0)), bytes.length);
    const [message] = readMessages(bytes);
    assert.equal(message?.type, type);
    const found = attributeMap(message.body, 4);
    assert.deepEqual([...(found.get(1) ?? [])], [7]);
    assert.equal(found.get(2)?.toString('latin1'), name === undefined ? undefined : `${name}\0`);
  }
});

test('no bytes make the decoders fail in an unknown way', () => {
  const good = written((writer) =>
    writeIpsetElements(writer, 'add', 1, 'b', [
      { address: parseAddress('10.0.0.0'), prefixLength: 8, comment: 'x', packets: 1n, bytes: 2n, timeoutSeconds: 3 },
      { address: parseAddress('2001:db8::'), skbinfo: { mark: 1, mask: 2, priority: 3, queue: 4 } },
    ]),
  );
  const header = written((writer) => writeIpsetCreate(writer, 1, 'n', PLAIN, 6));
  const decode = (bytes: Buffer) =>
    readMessages(bytes).map((message) => readIpsetListing({ ...message, type: 0x0607 }));
  assertDecoderTotal(decode, [good, header]);
  assertDecoderTotal((bytes) => readMessages(bytes).map(readIpsetRevision), [header]);
});
