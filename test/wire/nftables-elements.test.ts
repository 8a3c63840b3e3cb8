import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageWriter, readMessages } from '../../src/wire/netlink.js';
import { NFT } from '../../src/wire/nftables.js';
import { ElementTable } from '../../src/wire/nftables-element-table.js';
import { writeElements, writeSetRequest } from '../../src/wire/nftables-element-writer.js';
import { readElements, type WireElement } from '../../src/wire/nftables-elements.js';
import { unpackElement } from '../../src/wire/nftables-packed-elements.js';
import { assertDecoderTotal } from './corpus.js';

const SET = { family: 1, table: 'postern', set: 'bruteforce4' } as const;
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

function key(bytes: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes });
}

/** Elements as a kernel may have them; with `keyBytes` all of one set. */
function element(keyBytes: number): fc.Arbitrary<WireElement> {
  return fc.record(
    {
      key: key(keyBytes),
      keyEnd: key(keyBytes),
      intervalEnd: fc.constant(true),
      timeoutMs: fc.integer({ min: 1, max: 2 ** 50 }),
      expiresMs: fc.integer({ min: 1, max: 2 ** 50 }),
      comment: fc.string({ unit: fc.constantFrom('a', 'é', '€', ' '), maxLength: 40 }),
      counter: fc.record({ packets: u64, bytes: u64 }, { noNullPrototype: true }),
      quota: fc.record({ limitBytes: u64, usedBytes: u64, over: fc.boolean() }, { noNullPrototype: true }),
      data: key(4),
      object: fc.string({ unit: fc.constantFrom('a', '_', '9'), minLength: 1 }),
    },
    { requiredKeys: ['key'], noNullPrototype: true },
  );
}

function written(elements: readonly WireElement[]): Buffer[] {
  const writer = new MessageWriter(64);
  let seq = 1;
  for (let next = 0; next < elements.length; seq++) {
    next = writeElements(writer, NFT.NEWSETELEM, 0, seq, SET, elements, next);
  }
  return readMessages(writer.finish()).map(({ body }) => body);
}

test('elements come back as they were written, in as many messages as they need', () => {
  const elements = fc.constantFrom(1, 2, 4, 8, 16, 28).chain((bytes) => fc.array(element(bytes), { maxLength: 20 }));
  fc.assert(
    fc.property(elements, fc.constantFrom(1, 500), (few, times) => {
      const all = Array.from({ length: times }, () => few).flat();
      const messages = written(all).map(readElements);
      assert.deepEqual(
        messages.flatMap((message) => message.elements),
        all,
      );
      for (const { family, table, set } of messages) assert.deepEqual({ family, table, set }, SET);
    }),
  );
});

test('the catch-all element has no key', () => {
  const [body] = written([{ timeoutMs: 1000 }]);
  assert.ok(body);
  assert.deepEqual(readElements(body).elements, [{ timeoutMs: 1000 }]);
});

test('packed, elements are the same, and each is there once', () => {
  const elements = fc.tuple(fc.constantFrom(1, 2, 4, 16), fc.boolean(), fc.boolean()).chain(([bytes, ends, marks]) =>
    fc.uniqueArray(
      element(bytes).map(({ key, keyEnd = key, intervalEnd, timeoutMs, expiresMs, comment, counter }) => ({
        key,
        ...(ends ? { keyEnd } : {}),
        ...(marks && intervalEnd ? { intervalEnd } : {}),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(expiresMs === undefined ? {} : { expiresMs }),
        ...(comment === undefined ? {} : { comment }),
        ...(counter === undefined ? {} : { counter }),
      })),
      {
        selector: ({ key, keyEnd, intervalEnd }: WireElement) => `${key}-${keyEnd}-${intervalEnd}`,
        maxLength: 900,
      },
    ),
  );
  fc.assert(
    fc.property(elements, (once) => {
      const table = new ElementTable(false);
      for (const body of [...written(once), ...written(once.slice(0, 3))]) table.take(body);
      const packed = table.pack(false);
      assert.equal(packed.count, once.length);
      assert.equal(packed.disturbed, once.length > 0);
      once.forEach((expected, index) => {
        const { intervalEnd: _, ...rest } = expected;
        assert.deepEqual(unpackElement(packed, index), rest);
      });
    }),
    { numRuns: 60 },
  );
});

test('elements of several kinds in one message come back as they are', () => {
  const key = fc.uint8Array({ minLength: 4, maxLength: 4 });
  const timeoutMs = fc.constantFrom(0, 5, 1000, 2 ** 40 + 3);
  const element = fc.oneof(
    fc.record({ key }),
    fc.record({ key, timeoutMs }),
    fc.record({ key, keyEnd: key, timeoutMs }),
    fc.record({ key, timeoutMs, comment: fc.constantFrom('a', 'bcd') }),
    fc.record({ key, intervalEnd: fc.constant(true) }),
    fc.record({ key, expiresMs: timeoutMs }),
    fc.record({ key, timeoutMs, data: key }),
  );
  const runs = fc.array(fc.tuple(element, fc.array(key, { maxLength: 4 })), { maxLength: 8 });
  fc.assert(
    fc.property(runs, (given) => {
      const all = given.flatMap(([first, keys]) => [{ ...first }, ...keys.map((other) => ({ ...first, key: other }))]);
      const found = written(all).flatMap((body) => readElements(body).elements);
      assert.deepEqual(found, all);
    }),
  );
});

test('a counter that was zeroed by reading is summed when the element comes again', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(u64, u64), { minLength: 1, maxLength: 5 }), (readings) => {
      const table = new ElementTable(true);
      const address = Uint8Array.of(192, 0, 2, 1);
      for (const [packets, bytes] of readings) {
        for (const body of written([{ key: address, counter: { packets, bytes } }])) table.take(body);
      }
      const sum = (column: 0 | 1) =>
        BigInt.asUintN(
          64,
          readings.reduce((total, reading) => total + reading[column], 0n),
        );
      assert.deepEqual(unpackElement(table.pack(false), 0).counter, { packets: sum(0), bytes: sum(1) });
    }),
  );
});

test('start and end elements become intervals with their last value, in key order', () => {
  const table = new ElementTable(false);
  const byte = (value: number, intervalEnd = false): WireElement => ({
    key: Uint8Array.of(value),
    ...(intervalEnd ? { intervalEnd } : { timeoutMs: value * 1000, comment: `from ${value}` }),
  });
  // 0 is nft's mark before the first interval; 20 to 29 and 30 to 39 touch; 250 reaches the top.
  const elements = [
    byte(250),
    byte(40, true),
    byte(30),
    byte(30, true),
    byte(20),
    byte(11, true),
    byte(10),
    byte(0, true),
  ];
  for (const body of written(elements)) table.take(body);
  const packed = table.pack(true);
  assert.deepEqual(
    Array.from({ length: packed.count }, (_, index) => unpackElement(packed, index)),
    [
      [10, 10],
      [20, 29],
      [30, 39],
      [250, 255],
    ].map(([first = 0, last = 0]) => ({
      key: Uint8Array.of(first),
      keyEnd: Uint8Array.of(last),
      timeoutMs: first * 1000,
      comment: `from ${first}`,
    })),
  );
  assert.equal(packed.disturbed, false);
});

test('an interval in which the next begins ends before it', () => {
  const table = new ElementTable(false);
  for (const body of written([{ key: Uint8Array.of(20) }, { key: Uint8Array.of(30) }])) table.take(body);
  const packed = table.pack(true);
  assert.deepEqual(unpackElement(packed, 0).keyEnd, Uint8Array.of(29));
});

test('a request for a whole set has no elements', () => {
  const writer = new MessageWriter();
  writeSetRequest(writer, NFT.DELSETELEM, 0, 1, SET);
  const [message] = readMessages(writer.finish());
  assert.deepEqual(readElements(message?.body ?? Buffer.alloc(0)).elements, []);
});

test('no bytes make the element decoders fail in an unknown way', () => {
  const good = written([
    { key: Uint8Array.of(1, 2, 3, 4), keyEnd: Uint8Array.of(1, 2, 3, 9), timeoutMs: 5, expiresMs: 4, comment: 'x' },
    {
      key: Uint8Array.of(9, 2, 3, 4),
      counter: { packets: 1n, bytes: 2n },
      quota: { limitBytes: 3n, usedBytes: 1n, over: true },
      object: 'o',
    },
    { key: Uint8Array.of(7, 2, 3, 4), counter: { packets: 1n, bytes: 2n }, intervalEnd: true },
  ]);
  assertDecoderTotal(readElements, good);
  for (const pairs of [false, true]) {
    assertDecoderTotal((bytes) => {
      const table = new ElementTable(pairs);
      table.take(bytes);
      const packed = table.pack(pairs);
      for (let index = 0; index < packed.count; index++) unpackElement(packed, index);
    }, good);
  }
});
