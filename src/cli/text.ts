/** How commands write things for people. */

import { counted } from '../net/text.js';

export { counted } from '../net/text.js';

/** Columns padded to their widest cell; cells of the columns named by `right` stand at the right. */
export function aligned(rows: readonly (readonly string[])[], right: ReadonlySet<number> = new Set()): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map((row) => row.map((cell, column) => pad(cell, widths[column]!, right.has(column))).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function pad(cell: string, width: number, right: boolean): string {
  return right ? cell.padStart(width) : cell.padEnd(width);
}

/** Time left in its two largest units: `1d 3h`, `59s`. */
export function roughly(durationMs: number): string {
  let seconds = Math.max(0, Math.round(durationMs / 1000));
  const parts: string[] = [];
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

/** One JSON document, one line. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

const sizeUnits = ['KiB', 'MiB', 'GiB', 'TiB'];

/** As people read it, with one digit behind the point: `366 bytes`, `4.8 MiB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte');
  let size = bytes / 1024;
  let unit = 0;
  for (; size >= 1024 && unit < sizeUnits.length - 1; unit++) size /= 1024;
  return `${size.toFixed(1)} ${sizeUnits[unit]}`;
}
