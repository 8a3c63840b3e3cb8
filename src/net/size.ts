/** Byte sizes as people write them (`10GiB`, `500MB`, `1024`). */

import { invalid } from './text.js';

const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Factor by unit in small letters. */
const factors = new Map<string, number>([
  ['', 1],
  ...decimalUnits.map((unit, power): [string, number] => [unit.toLowerCase(), 1000 ** power]),
  ...binaryUnits.map((unit, power): [string, number] => [unit.toLowerCase(), 1024 ** power]),
]);

/**
 * Reads a number of bytes: MB is 1,000,000, MiB is 1,048,576, letters of any case, no unit means bytes.
 * @throws PosternError `invalid`, also for a fraction and for more than 2^53 - 1 bytes.
 */
export function parseSize(text: string): number {
  const [, count, unit] = /^([0-9]+)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : factors.get(unit.toLowerCase());
  if (count === undefined || factor === undefined) {
    throw invalid(text, 'is not a size; write it as 1024, 500MB or 10GiB');
  }
  const bytes = Number(count) * factor;
  if (!Number.isSafeInteger(bytes)) throw invalid(text, 'is too large for a size');
  return bytes;
}

/** Writes bytes exactly, in the largest unit that divides them: 1024 is `1KiB`, 1000 is `1kB`, 1001 is `1001`. */
export function formatSize(bytes: number): string {
  let shortest = String(bytes);
  for (const [units, base] of [
    [decimalUnits, 1000],
    [binaryUnits, 1024],
  ] as const) {
    for (let power = 1; power < units.length; power++) {
      const count = bytes / base ** power;
      const text = `${count}${units[power]}`;
      if (count >= 1 && Number.isInteger(count) && digits(text) < digits(shortest)) shortest = text;
    }
  }
  return shortest;
}

function digits(text: string): number {
  return Number.parseInt(text, 10).toString().length;
}
