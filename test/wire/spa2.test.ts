import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeSpa2,
  decodeSpa2Reply,
  encodeSpa2,
  encodeSpa2Reply,
  spa2Bytes,
  spa2ClientId,
  spa2ReplyBytes,
  verifySpa2,
} from '../../src/wire/spa2.js';

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const address = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => ({ family: 4 as const, value })),
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => ({ family: 6 as const, value })),
);
const request = fc.record(
  {
    what: fc.constantFrom('open' as const, 'close' as const),
    client: bytes(8),
    nonce: bytes(16),
    madeAt: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    seconds: fc.nat({ max: 2 ** 32 - 1 }),
    address,
    prefixLength: fc.integer({ min: 1, max: 32 }),
  },
  { requiredKeys: ['what', 'client', 'nonce', 'madeAt', 'seconds'], noNullPrototype: true },
);

test('whatever is encoded is decoded as it was, and verifies with its key and knock alone', () => {
  fc.assert(
    fc.property(request, bytes(32), fc.string(), (made, key, knock) => {
      const datagram = encodeSpa2(made, key, knock);
      assert.equal(datagram.length, spa2Bytes);
      assert.deepEqual(decodeSpa2(datagram), made);
      assert.ok(verifySpa2(datagram, key, knock));
      assert.ok(!verifySpa2(datagram, key, `${knock}.`));
      const other = Buffer.from(key);
      other[0]! ^= 1;
      assert.ok(!verifySpa2(datagram, other, knock));
    }),
  );
});

test('what decodes encodes to the same bytes, whatever bytes come', () => {
  const key = Buffer.alloc(32);
  fc.assert(
    fc.property(bytes(spa2Bytes), fc.boolean(), (any, likely) => {
      if (likely) any.set([2, 1 + (any[1]! & 1)]);
      if (likely) any.fill(0, 26, 28);
      if (likely) any.fill(0, 38, 56);
      const decoded = decodeSpa2(any);
      if (decoded !== undefined) assert.deepEqual(encodeSpa2(decoded, key, '').subarray(0, 56), any.subarray(0, 56));
    }),
  );
});

const good = encodeSpa2(
  { what: 'open', client: spa2ClientId('laptop'), nonce: Buffer.alloc(16), madeAt: 1_795_323_519_000, seconds: 0 },
  Buffer.alloc(32),
  'vpn',
);
const changed = (at: number, value: number): Buffer => {
  const copy = Buffer.from(good);
  copy[at] = value;
  return copy;
};
const malformed: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'a byte short': good.subarray(0, -1),
  'a byte long': Buffer.concat([good, Buffer.alloc(1)]),
  'version 1': changed(0, 1),
  'version 3': changed(0, 3),
  'neither open nor close': changed(1, 0),
  'a time beyond what numbers hold': changed(26, 0x40),
  'a family that is none': changed(38, 5),
  'an address without a family': changed(40, 1),
  'a prefix longer than any address': changed(39, 129),
  'a prefix longer than IPv4 addresses': (() => {
    const copy = changed(38, 4);
    copy[39] = 33;
    return copy;
  })(),
  'an IPv4 address with more behind it': (() => {
    const copy = changed(38, 4);
    copy[44] = 1;
    return copy;
  })(),
};
for (const [what, datagram] of Object.entries(malformed)) {
  test(`no datagram: ${what}`, () => assert.equal(decodeSpa2(datagram), undefined));
}

const reply = fc.record(
  { what: fc.constantFrom('open' as const, 'closed' as const), nonce: bytes(16), until: fc.integer({ min: 1 }) },
  { requiredKeys: ['what', 'nonce'], noNullPrototype: true },
);

test('a reply is read as it was made by who has its request, its key and its knock alone, and not when a bit of it differs', () => {
  fc.assert(
    fc.property(reply, bytes(32), fc.string(), fc.nat({ max: spa2ReplyBytes * 8 - 1 }), (made, key, knock, bit) => {
      const datagram = encodeSpa2Reply(made, key, knock);
      assert.equal(datagram.length, spa2ReplyBytes);
      assert.ok(datagram.length < spa2Bytes);
      assert.deepEqual(decodeSpa2Reply(datagram, made.nonce, key, knock), made);
      assert.equal(decodeSpa2Reply(datagram, Buffer.alloc(16, 77), key, knock), undefined);
      assert.equal(decodeSpa2Reply(datagram, made.nonce, key, `${knock}.`), undefined);
      assert.equal(decodeSpa2Reply(datagram.subarray(1), made.nonce, key, knock), undefined);
      datagram[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(decodeSpa2Reply(datagram, made.nonce, key, knock), undefined);
    }),
  );
});
