/** Rates as people write them: `15/5s`, `10MB/1s`, `5/m burst 10`. */

import { formatDuration, parseDuration } from './duration.js';
import { formatSize, parseSize } from './size.js';
import { invalid } from './text.js';

export interface Rate {
  /** Packets (or whatever is counted) or bytes in each period. */
  readonly count: number;
  readonly perMs: number;
  readonly unit: 'packets' | 'bytes';
  /** As many more may come at once. */
  readonly burst?: number;
}

/** Words of nft for the period. */
const periods = new Map([
  ['second', 1000],
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
  ['week', 604_800_000],
]);

/**
 * Reads `COUNT/PERIOD`, with ` burst COUNT` behind it if wanted. A count with a unit of size (`10MB`) counts bytes. The
 * period is a duration, a unit alone (`15/s`), or nft's word (`15/second`).
 * @throws PosternError `invalid`, also for a count or period of 0.
 */
export function parseRate(text: string): Rate {
  const [, count, period, burst] =
    /^([0-9]+[A-Za-z]*)\/([0-9A-Za-z]+)(?: +burst +([0-9]+[A-Za-z]*))?$/.exec(text) ?? [];
  if (count === undefined || period === undefined) throw invalid(text, 'is not a rate; write it as 15/5s or 10MB/1s');
  const unit = isBytes(count) ? 'bytes' : 'packets';
  if (burst !== undefined && isBytes(burst) !== isBytes(count)) {
    throw invalid(text, 'counts the rate and the burst in different units');
  }
  const perMs = periods.get(period) ?? parseDuration(/^[0-9]/.test(period) ? period : `1${period}`);
  const rate = { count: parseSize(count), perMs, unit } as const;
  if (rate.count === 0 || perMs === 0)
    throw invalid(text, 'lets nothing pass; a rate has a count and a period above 0');
  return burst === undefined ? rate : { ...rate, burst: parseSize(burst) };
}

export function formatRate(rate: Rate): string {
  const count = rate.unit === 'bytes' ? formatBytes : String;
  const burst = rate.burst === undefined ? '' : ` burst ${count(rate.burst)}`;
  return `${count(rate.count)}/${formatDuration(rate.perMs)}${burst}`;
}

function isBytes(count: string): boolean {
  return /[A-Za-z]$/.test(count);
}

/** Always with a unit: without one it would count packets. */
function formatBytes(bytes: number): string {
  const text = formatSize(bytes);
  return isBytes(text) ? text : `${text}B`;
}
