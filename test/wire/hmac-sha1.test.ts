import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { HmacSha1 } from '../../src/wire/hmac-sha1.js';

const keys = fc.uint8Array({ maxLength: 64 });
const messages = fc.uint8Array({ maxLength: 55 });

test('a digest is the one that OpenSSL makes', () => {
  fc.assert(
    fc.property(keys, messages, (key, message) => {
      const expected = createHmac('sha1', key).update(message).digest();
      assert.deepEqual(new HmacSha1(key).digest(message, message.length), expected);
    }),
    { numRuns: 2_000 },
  );
});

test('RFC 2202 has these digests for these keys and messages', () => {
  const cases: readonly (readonly [key: Buffer, message: Buffer, digest: string])[] = [
    [Buffer.alloc(20, 0x0b), Buffer.from('Hi There'), 'b617318655057264e28bc0b6fb378c8ef146be00'],
    [Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'), 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
    [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), '125d7342b9ac11cd91a39af48aa17b4f63f175d3'],
  ];
  for (const [key, message, digest] of cases) {
    assert.equal(new HmacSha1(key).digest(message, message.length).toString('hex'), digest);
  }
});

test('a digest behind its message is taken, and with any flipped bit not', () => {
  const key = new HmacSha1(Buffer.alloc(20, 7));
  const message = Buffer.from('a message of some length, which is no multiple of 4');
  const signed = Buffer.concat([message, key.digest(message, message.length)]);
  assert.ok(key.verify(signed, message.length, message.length));
  for (let bit = 0; bit < signed.length * 8; bit++) {
    const flipped = Buffer.from(signed);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(key.verify(flipped, message.length, message.length), false, `bit ${bit}`);
  }
  assert.equal(key.verify(signed.subarray(0, -1), message.length, message.length), false, 'a digest cut short');
});

test('keys and messages of other lengths are refused', () => {
  const key = new HmacSha1(Buffer.alloc(20));
  assert.throws(() => new HmacSha1(Buffer.alloc(65)), RangeError);
  assert.throws(() => key.digest(Buffer.alloc(56), 56), RangeError);
  assert.throws(() => key.digest(Buffer.alloc(10), 11), RangeError);
  assert.throws(() => key.verify(Buffer.alloc(100), 56, 56), RangeError);
});
