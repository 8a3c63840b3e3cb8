/** fuzzy's controller against a slow one, which keeps every packet and looks at all of them again for each. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FuzzyLimits, FuzzyModel } from '../../../src/extensions/models/fuzzy.js';

interface Arrival {
  readonly at: number;
  readonly random: number;
}

/** Of a hundred packets so many pass at a rate, in exact fractions cut off once. */
function slowAcceptance({ lower, upper }: FuzzyLimits, rate: number): number {
  if (rate <= lower) return 100;
  if (rate >= upper) return 1;
  const [over, span] = [BigInt(upper - rate) * 100n, BigInt(upper - lower)];
  return Number((over - (over % span)) / span);
}

/** Does the last of the packets match? */
function slowMatch(limits: FuzzyLimits, hz: number, arrivals: readonly Arrival[]): boolean {
  let [start, count, accepted] = [0, 0, 100];
  for (const { at } of arrivals) {
    count++;
    if (at < start) [start, count] = [at, 0];
    else if ((at - start) * 10 > hz) {
      const rate = Number((BigInt(hz) * BigInt(count)) / BigInt(at - start));
      accepted = slowAcceptance(limits, rate);
      [start, count] = [at, 0];
    }
  }
  return accepted < 100 && arrivals.at(-1)!.random * 100 > 255 * accepted - ((255 * accepted) % 100);
}

const limits = fc
  .tuple(fc.integer({ min: 3, max: 3_000 }), fc.integer({ min: 1, max: 3_000 }))
  .map(([lower, more]) => ({ lower, upper: lower + more }));
const arrivals = fc
  .array(
    fc.record({ gap: fc.oneof(fc.nat(3), fc.nat(150), fc.constantFrom(-40, 25, 26, 100, 101)), random: fc.nat(255) }),
    {
      minLength: 1,
      maxLength: 120,
    },
  )
  .map((steps) => {
    let at = 1_000_000;
    return steps.map(({ gap, random }) => {
      at += gap;
      return { at, random };
    });
  });

test('each packet is judged as by counting all packets before it again', () => {
  fc.assert(
    fc.property(limits, fc.constantFrom(100, 250, 1_000), arrivals, (bounds, hz, packets) => {
      const model = new FuzzyModel(bounds, hz);
      for (const [index, { at, random }] of packets.entries()) {
        const expected = slowMatch(bounds, hz, packets.slice(0, index + 1));
        assert.equal(model.matches(at, 60, random), expected, `packet ${index}`);
      }
    }),
    { numRuns: 300 },
  );
});
