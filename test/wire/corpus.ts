/** Inputs that no decoder may choke on. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.js';

/** Runs a decoder on bytes: whatever they are, it answers or throws a PosternError of code `kernel`. */
export function assertTotal(decode: (bytes: Buffer) => unknown, bytes: Buffer): void {
  try {
    decode(bytes);
  } catch (error) {
    if (error instanceof PosternError && error.code === 'kernel') return;
    assert.fail(`${error instanceof Error ? error.stack : error}\non ${bytes.subarray(0, 256).toString('hex')}`);
  }
}

/**
 * Every cut and many damages of a good message, random bytes of many lengths, and 1 MB of them.
 * @param good messages that the decoder accepts
 */
export function assertDecoderTotal(decode: (bytes: Buffer) => unknown, good: readonly Buffer[]): void {
  for (const bytes of good) {
    decode(bytes);
    for (let length = 0; length < bytes.length; length++) assertTotal(decode, Buffer.from(bytes.subarray(0, length)));
    const damage = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of damages) damaged[at] = value;
        assertTotal(decode, damaged);
      }),
    );
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => assertTotal(decode, Buffer.from(bytes))));
  assertTotal(decode, randomBytes(1 << 20));
}
