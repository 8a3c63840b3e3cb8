/** Rates of the policy as limits of nft. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstLimit, limitOf, refillMs } from '../../src/extensions/rate.js';

const periodMs = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;

test('a rate is written with the shortest period in which it is whole', () => {
  const cases: readonly (readonly [count: number, perMs: number, rate: number, per: string])[] = [
    [10, 1000, 10, 'second'],
    [15, 5000, 3, 'second'],
    [5, 3000, 100, 'minute'],
    [1, 60_000, 1, 'minute'],
    [7, 3_600_000, 7, 'hour'],
    [1, 604_800_000, 1, 'week'],
    [1, 300, 200, 'minute'],
  ];
  for (const [count, perMs, rate, per] of cases) {
    assert.deepEqual(limitOf({ count, perMs }), { rate, per, unit: 'packets', burst: count });
  }
});

test('a limit lets as much pass as the rate, within one per cent', () => {
  const rates = fc.record({
    count: fc.integer({ min: 1, max: 100_000 }),
    perMs: fc.integer({ min: 1, max: 3_600_000 }),
  });
  fc.assert(
    fc.property(rates, (rate) => {
      const limit = limitOf(rate);
      if (limit === undefined) return;
      const wanted = rate.count / rate.perMs;
      const kept = limit.rate / periodMs[limit.per];
      assert.ok(Math.abs(kept - wanted) <= wanted / 100, `${JSON.stringify(rate)} ${JSON.stringify(limit)}`);
      assert.equal(limit.burst, rate.count);
    }),
  );
});

test("what nft can't keep is refused", () => {
  assert.equal(limitOf({ count: 1, perMs: 2 * periodMs.week }), undefined);
  assert.equal(limitOf({ count: 3, perMs: 10 * periodMs.day }), undefined);
  assert.equal(limitOf({ count: 1, perMs: periodMs.week, burst: 40_000 }), undefined);
});

test('the first so many are a burst that refills over a week, or a day for more', () => {
  assert.deepEqual(firstLimit(5), { rate: 1, per: 'week', burst: 5 });
  assert.deepEqual(firstLimit(30_500), { rate: 1, per: 'week', burst: 30_500 });
  assert.deepEqual(firstLimit(30_501), { rate: 1, per: 'day', burst: 30_501 });
  assert.equal(firstLimit(10_000_000), undefined);
});

test('a limit is remembered until its tokens are back', () => {
  assert.equal(refillMs({ count: 15, perMs: 5000 }), 5000);
  assert.equal(refillMs({ count: 5, perMs: 1000, burst: 20 }), 4000);
});
