import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodePftabled,
  encodePftabled,
  isSignedPftabled,
  type PftabledMessage,
  pftabledKey,
  pftabledMark,
} from '../../src/wire/pftabled.js';

const secret = Buffer.from('0102030405060708090a0b0c0d0e0f1011121314', 'hex');
const key = pftabledKey(secret);

const bytes = fc.integer({ min: 0, max: 255 });
const words = fc.integer({ min: 0, max: 0xffff_ffff });
const latin1 = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 32,
});

const messages: fc.Arbitrary<PftabledMessage> = fc.record({
  version: bytes,
  command: bytes,
  mask: bytes,
  address: words,
  table: latin1,
  timestamp: words,
});

const request: PftabledMessage = {
  version: 2,
  command: 1,
  mask: 24,
  address: 0xc000_0201,
  table: 'spammer',
  timestamp: 1_700_000_000,
};

test('a message reads back as it was written, signed or not', () => {
  fc.assert(
    fc.property(messages, fc.boolean(), (message, signed) => {
      const datagram = encodePftabled(message, signed ? key : undefined);
      assert.equal(datagram.length, 64);
      assert.deepEqual(decodePftabled(datagram), { ...message });
      assert.equal(isSignedPftabled(datagram, key), signed);
    }),
  );
});

test('every field stands at its offset', () => {
  const datagram = encodePftabled(request);
  const table = `${Buffer.from('spammer').toString('hex')}${'00'.repeat(25)}`;
  assert.equal(datagram.toString('hex'), `02010018c0000201${table}6553f100${'00'.repeat(20)}`);
});

test('the digest is an HMAC-SHA1 over the first 44 bytes', () => {
  const datagram = encodePftabled(request, key);
  const digest = createHmac('sha1', secret).update(datagram.subarray(0, 44)).digest();
  assert.deepEqual(datagram.subarray(44), digest);
});

test('a datagram of another length is none', () => {
  for (const length of [0, 1, 43, 44, 60, 63, 65, 76, 128, 65_507]) {
    assert.equal(decodePftabled(Buffer.alloc(length)), undefined, `${length} bytes`);
  }
});

test('a table of 32 characters has no NUL, and what follows a NUL does not count', () => {
  const long = encodePftabled({ ...request, table: 'c'.repeat(32) });
  assert.equal(decodePftabled(long)?.table, 'c'.repeat(32));
  long[8 + 3] = 0;
  assert.equal(decodePftabled(long)?.table, 'ccc');
});

test('any flipped bit breaks the digest', () => {
  const datagram = encodePftabled(request, key);
  for (let bit = 0; bit < 64 * 8; bit++) {
    const flipped = Buffer.from(datagram);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(isSignedPftabled(flipped, key), false, `bit ${bit}`);
  }
});

test('of version 1 both forms of the digest are taken, and no third one', () => {
  const cases: readonly (readonly [onWire: number, signedAs: number, taken: boolean])[] = [
    [0, 0, true],
    [32, 32, true],
    [0, 32, true],
    [24, 32, true],
    [24, 24, true],
    [24, 0, false],
    [32, 0, false],
    [32, 24, false],
  ];
  for (const [onWire, signedAs, taken] of cases) {
    const datagram = encodePftabled({ ...request, version: 1, mask: signedAs }, key);
    datagram[3] = onWire;
    assert.equal(isSignedPftabled(datagram, key), taken, `${onWire} on the wire, signed as ${signedAs}`);
  }
  const version2 = encodePftabled({ ...request, mask: 32 }, key);
  version2[3] = 24;
  assert.equal(isSignedPftabled(version2, key), false);
});

test('all forms of one signed request have one mark', () => {
  const datagram = encodePftabled({ ...request, version: 1, mask: 32 }, key);
  const disguised = Buffer.from(datagram);
  disguised[3] = 7;
  assert.ok(isSignedPftabled(disguised, key));
  assert.deepEqual(pftabledMark(disguised, true), pftabledMark(datagram, true));
});

test('an unsigned request is the same whatever its digest', () => {
  const datagram = encodePftabled(request);
  assert.deepEqual(pftabledMark(encodePftabled(request, key), false), pftabledMark(datagram, false));
  const other = encodePftabled({ ...request, address: 1 });
  assert.notDeepEqual(pftabledMark(other, false), pftabledMark(datagram, false));
});

test('the first 20 bytes of a key file are the key, and fewer are none', () => {
  const longer = pftabledKey(Buffer.concat([secret, Buffer.from('more\n')]));
  assert.ok(isSignedPftabled(encodePftabled(request, longer), key));
  assert.throws(() => pftabledKey(secret.subarray(0, 19)), /has 20 bytes, this file has 19/);
});
