/**
 * Digests by which two copies of a table are compared without sending them: the sum of the entries' hashes modulo 2^128,
 * whole and in 256 buckets. A sum takes one addition for each change; with a secret salt nobody can choose addresses
 * whose hashes cancel.
 */

import { createHash } from 'node:crypto';
import { prefixKey } from './prefix-key.js';
import type { EntryRegister } from './register.js';

const modulus = 1n << 128n;
export const bucketCount = 256;

export interface TableDigest {
  readonly sum: bigint;
  /** By the first byte of the hash of the key: the unit of repair. */
  readonly buckets: readonly bigint[];
}

/** What an entry adds to the sums: the first 16 bytes of SHA-256(salt ‖ table ‖ key ‖ expiry ‖ stamp ‖ node), NUL between the parts. */
export function entryHash(entry: EntryRegister, salt: string): bigint {
  const parts = [salt, entry.table, prefixKey(entry.prefix), entry.expiresAt ?? 0, entry.at, entry.node];
  const hash = createHash('sha256').update(parts.join('\0')).digest();
  return (hash.readBigUInt64BE(0) << 64n) | hash.readBigUInt64BE(8);
}

/** The bucket of a prefix. */
export function bucketOf(entry: EntryRegister): number {
  return createHash('sha256').update(prefixKey(entry.prefix)).digest()[0]!;
}

/**
 * Sums over the entries of a table that are neither deleted nor expired.
 * @param expiredBy the moment that both sides agreed on, in ms since the epoch
 */
export function tableDigest(entries: Iterable<EntryRegister>, salt: string, expiredBy: number): TableDigest {
  const buckets = new Array<bigint>(bucketCount).fill(0n);
  for (const entry of entries) {
    if (entry.op === 'delete' || (entry.expiresAt ?? Number.POSITIVE_INFINITY) <= expiredBy) continue;
    const bucket = bucketOf(entry);
    buckets[bucket] = (buckets[bucket]! + entryHash(entry, salt)) % modulus;
  }
  return { sum: buckets.reduce((sum, part) => (sum + part) % modulus, 0n), buckets };
}
