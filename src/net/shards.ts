/**
 * Intervals of a large table are spread over several kernel sets, its shards: at each change of a set of intervals the
 * kernel goes through all of it, and nobody else's change gets in meanwhile (half a million intervals: 100 ms).
 *
 * The shard of an address is said by five of its bits. Not by the first, in which lists differ least, and not by those
 * behind usual lengths of prefixes: an interval is in the set of each shard that it has addresses in.
 */

import { type AddressRange, addressBits, type Family } from './address.js';

export const shardCount = 32;

/** The first of the bits: the upper part of the second octet; the lowest of a registry's /29. */
const firstBit = { 4: 8, 6: 24 } as const;
const bits = 5;

/** So many bits stand behind those of the shard. */
const behind = {
  4: BigInt(addressBits(4) - firstBit[4] - bits),
  6: BigInt(addressBits(6) - firstBit[6] - bits),
} as const;

/** The bits of an address that say its shard. */
export function shardMask(family: Family): bigint {
  return BigInt(shardCount - 1) << behind[family];
}

/** What these bits are in the addresses of a shard. */
export function shardValue(family: Family, shard: number): bigint {
  return BigInt(shard) << behind[family];
}

/** The shards in which a range has addresses. */
export function shardsOf({ family, first, last }: AddressRange): number[] {
  const [from, to] = [first >> behind[family], last >> behind[family]];
  const one = Number(from & BigInt(shardCount - 1));
  if (from === to) return [one];
  const count = to - from >= BigInt(shardCount - 1) ? shardCount : Number(to - from) + 1;
  return Array.from({ length: count }, (_, index) => (one + index) % shardCount);
}

export function isInShard(range: AddressRange, shard: number): boolean {
  return shardsOf(range).includes(shard);
}
