/** Durations as people write them (`300ms`, `10s`, `1d12h`) and in milliseconds. */

import { invalid } from './text.js';

const unitMs = {
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
} as const;

type Unit = keyof typeof unitMs;

const form = /^(?:[0-9]+(?:ms|[wdhms]))+$/;
const part = /([0-9]+)(ms|[wdhms])/g;

/**
 * Reads one or more numbers with a unit, the larger units first: `90s`, `1h30m`, `2w`.
 * @returns whole milliseconds.
 * @throws PosternError `invalid`, also for a number without a unit.
 */
export function parseDuration(text: string): number {
  if (!form.test(text)) {
    const hint = /^[0-9]+$/.test(text) ? `; is ${text}s meant?` : '; write it as 300ms, 10s, 5m, 12h, 1d, 2w or 1h30m';
    throw invalid(text, `is not a duration${hint}`);
  }
  let total = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(part)) {
    const factor = unitMs[unit as Unit];
    if (factor >= smallest) throw invalid(text, 'names a unit twice or a smaller one first; write it as 1h30m');
    smallest = factor;
    total += Number(count) * factor;
  }
  if (!Number.isSafeInteger(total)) throw invalid(text, 'is too long for a duration');
  return total;
}

/** Writes milliseconds as nft does: days and smaller units, zero parts left out; `0s` for nothing. */
export function formatDuration(durationMs: number): string {
  let rest = Math.round(durationMs);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / unitMs[unit]);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs[unit];
  }
  return text === '' ? '0s' : text;
}
