import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { HmacSha1 } from '../../src/wire/hmac-sha1.js';

const keys = fc.uint8Array({ maxLength: 64 });
const messages = fc.uint8Array({ maxLength: 200 });

test('a digest is the one that createHmac makes, of every message under the same key', () => {
  fc.assert(
    fc.property(keys, messages, (key, message) => {
      const hmac = new HmacSha1(key, message.length);
      for (const bytes of [message, message.toReversed()]) {
        assert.deepEqual(hmac.digest(bytes), createHmac('sha1', key).update(bytes).digest());
      }
    }),
  );
});

test('RFC 2202 has these digests for these keys and messages', () => {
  const cases: readonly (readonly [key: Buffer, message: Buffer, digest: string])[] = [
    [Buffer.alloc(20, 0x0b), Buffer.from('Hi There'), 'b617318655057264e28bc0b6fb378c8ef146be00'],
    [Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'), 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
    [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), '125d7342b9ac11cd91a39af48aa17b4f63f175d3'],
  ];
  for (const [key, message, digest] of cases) {
    assert.equal(new HmacSha1(key, message.length).digest(message).toString('hex'), digest);
  }
});

test('a digest behind its message is taken, and with any flipped bit not', () => {
  const message = Buffer.from('a message of some length, which is no multiple of 4');
  const key = new HmacSha1(Buffer.alloc(20, 7), message.length);
  const signed = Buffer.concat([message, key.digest(message)]);
  assert.ok(key.verify(signed));
  for (let bit = 0; bit < signed.length * 8; bit++) {
    const flipped = Buffer.from(signed);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(key.verify(flipped), false, `bit ${bit}`);
  }
  assert.equal(key.verify(signed.subarray(0, -1)), false, 'a digest cut short');
});

test('longer keys and shorter messages are refused', () => {
  const key = new HmacSha1(Buffer.alloc(20), 44);
  assert.throws(() => new HmacSha1(Buffer.alloc(65), 44), RangeError);
  assert.throws(() => key.digest(Buffer.alloc(43)), RangeError);
  assert.throws(() => key.verify(Buffer.alloc(43)), RangeError);
});
