/** Rates as nft can keep them. */

import type { Limit } from '../nft/model.js';
import type { Rate } from '../policy/ast.js';

const periods = [
  ['second', 1000],
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
  ['week', 604_800_000],
] as const;

/** The kernel keeps tokens as nanoseconds in 64 bits: `burst` times the time that one token takes. */
const mostTokens = 2n ** 64n;

/**
 * The limit that lets `count` pass in every period, all of them at once if need be. Of nft's periods the first in which
 * the rate is a whole number is taken; a rate that is none is rounded to a number a week.
 * @returns undefined when that is more than one per cent off, or remembers longer than the kernel can.
 */
export function limitOf(rate: Rate, inv = false): Limit | undefined {
  const perPeriod = (periodMs: number) => (rate.count * periodMs) / rate.perMs;
  const whole = periods.find(([, ms]) => Number.isSafeInteger(perPeriod(ms)));
  const [per, ms] = whole ?? periods[4];
  const perUnit = Math.round(perPeriod(ms));
  const burst = rate.burst ?? rate.count;
  const isNear = Math.abs(perUnit - perPeriod(ms)) <= perPeriod(ms) / 100;
  if (!isNear || !fits(perUnit, ms, burst)) return undefined;
  return { rate: perUnit, per, unit: rate.unit ?? 'packets', burst, ...(inv && { inv }) };
}

/** The limit that is true for the first `count` packets; one more is let pass each week or day. */
export function firstLimit(count: number): Limit | undefined {
  const period = [periods[4], periods[3], periods[2]].find(([, ms]) => fits(1, ms, count));
  return period && { rate: 1, per: period[0], burst: count };
}

const fits = (rate: number, periodMs: number, burst: number): boolean =>
  ((BigInt(periodMs) * 1_000_000n) / BigInt(rate)) * BigInt(burst) < mostTokens;

/** How long a limit must be remembered: then all its tokens are back. */
export const refillMs = ({ count, perMs, burst = count }: Rate): number => Math.ceil((perMs * burst) / count);
