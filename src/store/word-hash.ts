/** A hash of four words for tables in memory; with a seed that nobody knows, so that nobody can choose keys that collide. */

import { randomBytes } from 'node:crypto';

const seed = randomBytes(4).readUInt32LE();

/** Hashes `words[from]` to `words[from + 3]` and one small number; unsigned 32 bits. */
export function hashWords(words: Uint32Array, from: number, small = 0): number {
  let hash = seed ^ Math.imul(small + 1, 0x9e37_79b1);
  for (let i = from; i < from + 4; i++) {
    hash = Math.imul(hash ^ words[i]!, 0x85eb_ca6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
