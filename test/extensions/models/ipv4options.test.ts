/** The options of an IPv4 header against a slow reader, which takes them off one by one as text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type OptionTest, optionsOf, testOptions } from '../../../src/extensions/models/ipv4options.js';

/** The numbers of the options in an area of hexadecimal digits. */
function slowOptions(hex: string): number[] {
  const [type = '00', length = ''] = hex.match(/../g) ?? [];
  if (type === '00') return [];
  const digits = type === '01' ? 2 : 2 * Number.parseInt(length || '0', 16);
  if (digits < (type === '01' ? 2 : 4) || digits > hex.length) return [];
  return [Number.parseInt(type, 16) % 32, ...slowOptions(hex.slice(digits))];
}

const numbers = fc.integer({ min: 1, max: 31 });
const option = fc
  .tuple(fc.oneof(fc.nat(255), fc.constantFrom(7, 0x83, 0x94, 1)), fc.oneof(fc.integer({ min: 2, max: 8 }), fc.nat(45)))
  .map(([type, length]) => (type === 1 ? [1] : [type, length, ...new Array<number>(Math.max(0, length - 2)).fill(9)]));
const area = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.array(option, { maxLength: 8 }).map((all) => Uint8Array.from(all.flat().slice(0, 40))),
);
const wanted: fc.Arbitrary<OptionTest> = fc
  .record({ all: fc.uniqueArray(numbers, { minLength: 1, maxLength: 6 }), cut: fc.nat(6), any: fc.boolean() })
  .map(({ all, cut, any }) => ({ present: all.slice(0, cut), absent: all.slice(cut), any }));

test('the options of a header are those that are taken off one by one, and tests ask for them', () => {
  fc.assert(
    fc.property(area, wanted, (bytes, { present, absent, any }) => {
      const found = new Set(slowOptions(Buffer.from(bytes).toString('hex')));
      const bits = optionsOf(bytes);
      for (let number = 0; number < 32; number++) assert.equal(((bits >>> number) & 1) === 1, found.has(number));
      const held = [...present.map((one) => found.has(one)), ...absent.map((one) => !found.has(one))];
      assert.equal(testOptions({ present, absent, any }, bits), any ? held.includes(true) : !held.includes(false));
    }),
    { numRuns: 3_000 },
  );
});
