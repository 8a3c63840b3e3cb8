/** Sets of addresses as ranges: merging, subtracting, splitting into prefixes. Lists may mix families; results are in order. */

import { type AddressRange, addressBits, type Family, type Prefix } from './address.js';
import { comparePrefixes, compareRanges, prefixLast, prefixRange } from './prefix.js';

/** The same addresses as disjoint ranges that don't touch, in order. */
export function mergeRanges(ranges: Iterable<AddressRange>): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of [...ranges].sort(compareRanges)) append(merged, range);
  return merged;
}

/** The addresses of `ranges` that are not in `without`, merged. */
export function subtractRanges(ranges: Iterable<AddressRange>, without: Iterable<AddressRange>): AddressRange[] {
  const holes = mergeRanges(without);
  const left: AddressRange[] = [];
  let next = 0;
  for (const { family, first, last } of mergeRanges(ranges)) {
    let from = first;
    while (next < holes.length && endsBefore(holes[next]!, family, first)) next++;
    for (let i = next; i < holes.length && startsWithin(holes[i]!, family, last); i++) {
      const hole = holes[i]!;
      if (hole.first > from) left.push({ family, first: from, last: hole.first - 1n });
      from = hole.last + 1n;
    }
    if (from <= last) left.push({ family, first: from, last });
  }
  return left;
}

/** The fewest prefixes that are together exactly this range. */
export function rangePrefixes({ family, first, last }: AddressRange): Prefix[] {
  const bits = addressBits(family);
  const prefixes: Prefix[] = [];
  let from = first;
  while (from <= last) {
    let hostBits = 0;
    while (hostBits < bits && fits(from, hostBits + 1, last)) hostBits++;
    prefixes.push({ family, value: from, length: bits - hostBits });
    from += 1n << BigInt(hostBits);
  }
  return prefixes;
}

/** The fewest prefixes that hold the same addresses, in order. */
export function aggregatePrefixes(prefixes: Iterable<Prefix>): Prefix[] {
  return mergeRanges(Array.from(prefixes, prefixRange)).flatMap(rangePrefixes);
}

/** An entry of a table: a prefix, or an exception from wider ones. */
export interface NestedPrefix {
  readonly prefix: Prefix;
  readonly not?: boolean;
}

/**
 * The addresses that a table of nested prefixes holds when the longest prefix decides, as in pf; of two equal prefixes
 * the exception wins.
 */
export function flattenNested(entries: Iterable<NestedPrefix>): AddressRange[] {
  const sorted = [...entries].sort((a, b) => comparePrefixes(a.prefix, b.prefix) || Number(!!a.not) - Number(!!b.not));
  const flat: AddressRange[] = [];
  for (const family of [4, 6] as const) {
    sweep(
      family,
      sorted.filter((entry) => entry.prefix.family === family),
      flat,
    );
  }
  return flat;
}

/** Walks up the address space; the innermost open prefix says whether addresses are in. */
function sweep(family: Family, sorted: readonly NestedPrefix[], flat: AddressRange[]): void {
  const open: { readonly last: bigint; readonly not: boolean }[] = [];
  let from = 0n;
  const advance = (to: bigint | undefined) => {
    for (let inner = open.at(-1); inner !== undefined && (to === undefined || from < to); inner = open.at(-1)) {
      const last = to === undefined || inner.last < to ? inner.last : to - 1n;
      if (!inner.not && from <= last) append(flat, { family, first: from, last });
      if (last >= from) from = last + 1n;
      if (last === inner.last) open.pop();
    }
    if (to !== undefined && from < to) from = to;
  };
  for (const { prefix, not } of sorted) {
    advance(prefix.value);
    open.push({ last: prefixLast(prefix), not: not === true });
  }
  advance(undefined);
}

/** Adds a range that starts no earlier than the last one; joins them where they overlap or touch. */
function append(merged: AddressRange[], range: AddressRange): void {
  const previous = merged.at(-1);
  if (previous === undefined || previous.family !== range.family || range.first > previous.last + 1n) {
    merged.push(range);
  } else if (range.last > previous.last) {
    merged[merged.length - 1] = { family: range.family, first: previous.first, last: range.last };
  }
}

function endsBefore(range: AddressRange, family: Family, first: bigint): boolean {
  return range.family < family || (range.family === family && range.last < first);
}

function startsWithin(range: AddressRange, family: Family, last: bigint): boolean {
  return range.family === family && range.first <= last;
}

/** Does the block of 2^hostBits addresses start at `from` and end by `last`? */
function fits(from: bigint, hostBits: number, last: bigint): boolean {
  const hostMask = (1n << BigInt(hostBits)) - 1n;
  return (from & hostMask) === 0n && from + hostMask <= last;
}
