/** quota2's counter against a slow one: characters one by one, and a packet's bytes one by one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Quota2Rule, quota2Packet, quota2Write } from '../../../src/extensions/models/quota2.js';

const most = 2n ** 64n - 1n;
const digits = '0123456789abcdef';

/** A number as the kernel reads one in any base, digit by digit, in 64 bits that run over. */
function slowNumber(text: string): bigint {
  let rest = text.toLowerCase();
  let base = 10;
  if (rest.startsWith('0x') && digits.includes(rest[2] ?? ' ')) {
    base = 16;
    rest = rest.slice(2);
  } else if (rest.startsWith('0')) base = 8;
  let value = 0n;
  for (const character of rest) {
    const digit = digits.slice(0, base).indexOf(character);
    if (digit < 0) break;
    value = BigInt.asUintN(64, value * BigInt(base) + BigInt(digit));
  }
  return value;
}

function slowWrite(counter: bigint, text: string): bigint {
  const written = text.slice(0, 22);
  for (const [sign, change] of [
    ['+-', -1n],
    ['--', 1n],
    ['+', 1n],
    ['-', -1n],
  ] as const) {
    if (!written.startsWith(sign)) continue;
    const sum = counter + change * slowNumber(written.slice(sign.length));
    return sum < 0n ? 0n : BigInt.asUintN(64, sum);
  }
  return slowNumber(written);
}

const counter = fc.oneof(fc.bigInt(0n, 5_000n), fc.bigInt(0n, most), fc.constantFrom(0n, most));
const written = fc
  .tuple(
    fc.constantFrom('', '+', '-', '+-', '--', '-+', '++', ' ', '0x', '-0X', '+0'),
    fc.oneof(
      fc.bigInt(0n, 2n ** 70n).map(String),
      fc.string({ maxLength: 24 }),
      fc.stringMatching(/^[0-9a-fx+-]{0,24}$/),
    ),
  )
  .map((parts) => parts.join(''));

test('a write does what reading it character by character does', () => {
  fc.assert(
    fc.property(counter, written, (value, text) => assert.equal(quota2Write(value, text), slowWrite(value, text))),
    { numRuns: 3_000 },
  );
});

const rule: fc.Arbitrary<Quota2Rule> = fc.record({
  quota: fc.constant(0n),
  invert: fc.boolean(),
  grow: fc.boolean(),
  packets: fc.boolean(),
  noChange: fc.boolean(),
});

/** Takes units away, or adds them, until the packet is counted or nothing is left. */
function slowPacket({ invert, grow, packets, noChange }: Quota2Rule, before: number, length: number) {
  let value = before;
  let need = packets ? 1 : length;
  for (; need > 0 && (grow || value > 0); need--) value += grow ? 1 : -1;
  return { counter: BigInt(noChange ? before : value), matches: grow || (need === 0) !== invert };
}

test('a packet takes its units one by one until none is left, or adds them', () => {
  fc.assert(
    fc.property(rule, fc.nat(400), fc.integer({ min: 1, max: 300 }), (one, before, length) =>
      assert.deepEqual(quota2Packet(one, BigInt(before), length), slowPacket(one, before, length)),
    ),
    { numRuns: 2_000 },
  );
});
