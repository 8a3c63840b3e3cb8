/** Files that can't be used are kept for people to look at: under a dated name, a few of them. */

import type { Disk } from './disk.js';

const kept = 6;
const pattern = /\.(?:damaged|newer)-(.*)$/;

/** `NAME.REASON-2026-11-22T06-50-00Z` */
export function asideName(file: string, reason: 'damaged' | 'newer', wallMs: number): string {
  const date = new Date(wallMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');
  return `${file}.${reason}-${date}`;
}

/** Removes the oldest of the files that were set aside; a few stay. */
export function pruneAside(disk: Disk): void {
  const dated = disk.list().flatMap((name) => {
    const date = pattern.exec(name)?.[1];
    return date === undefined ? [] : [{ name, date }];
  });
  dated.sort((a, b) => (a.date < b.date ? 1 : -1));
  for (const { name } of dated.slice(kept)) disk.remove(name);
}
