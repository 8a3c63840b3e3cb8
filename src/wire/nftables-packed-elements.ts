/**
 * Listed elements in columns: nothing but typed arrays, which cross threads without a copy. 65,536 counted addresses take
 * 3 MB and no objects.
 */

import type { WireElement } from './nftables-elements.js';

/** Bits of `marks`. */
export const MARK = { INTERVAL_END: 1, COUNTER: 2 } as const;
/** Words of a counter: packets high and low, bytes high and low. */
export const COUNTER_WORDS = 4;

/** Elements in columns; element i's key is at `i * keyBytes`. Made of nothing but typed arrays, to cross threads. */
export interface PackedElements {
  readonly count: number;
  readonly keyBytes: number;
  readonly keys: Uint8Array;
  /** Inclusive upper bounds; empty when no element is an interval. */
  readonly keyEnds: Uint8Array;
  readonly marks: Uint8Array;
  /** Milliseconds; 0: permanent. */
  readonly timeouts: Float64Array;
  readonly expiries: Float64Array;
  /** Four words each: packets high and low, bytes high and low; empty when no element counts. */
  readonly counters: Uint32Array;
  readonly comments: ReadonlyMap<number, string>;
  /** The set changed while it was listed, so elements may be missing. */
  readonly disturbed: boolean;
}

/** Element `index` of the columns, as `readElements` would have given it. For tests and small sets. */
export function unpackElement(packed: PackedElements, index: number): WireElement {
  const { keyBytes, keys, keyEnds, marks, timeouts, expiries, counters, comments } = packed;
  const at = index * keyBytes;
  const comment = comments.get(index);
  const timeoutMs = timeouts[index] as number;
  const expiresMs = expiries[index] as number;
  return {
    key: keys.slice(at, at + keyBytes),
    ...(keyEnds.length === 0 ? {} : { keyEnd: keyEnds.slice(at, at + keyBytes) }),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
    ...(expiresMs === 0 ? {} : { expiresMs }),
    ...(comment === undefined ? {} : { comment }),
    ...(((marks[index] as number) & MARK.COUNTER) === 0 ? {} : { counter: unpackCounter(counters, index) }),
  };
}

/** The counter of element `index`. */
export function unpackCounter(counters: Uint32Array, index: number): { packets: bigint; bytes: bigint } {
  const at = index * COUNTER_WORDS;
  return { packets: joined(counters, at), bytes: joined(counters, at + 2) };
}

function joined(words: Uint32Array, at: number): bigint {
  const high = words[at] as number;
  const low = words[at + 1] as number;
  return high < 0x20_0000 ? BigInt(high * 0x1_0000_0000 + low) : (BigInt(high) << 32n) | BigInt(low);
}

/**
 * Starts of intervals in key order, each with its last value: the one before the next element's. An end without a
 * start is the mark that nft puts before the first interval; a start without an end reaches the top.
 */
export function intervalsOf(
  keys: Uint8Array,
  keyBytes: number,
  marks: Uint8Array,
  count: number,
): { readonly places: number[]; readonly ends: Uint8Array } {
  const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.length);
  const isEnd = (place: number) => (marks[place] as number) & MARK.INTERVAL_END;
  const compare = (a: number, b: number) =>
    bytes.compare(bytes, b * keyBytes, (b + 1) * keyBytes, a * keyBytes, (a + 1) * keyBytes) || isEnd(b) - isEnd(a);
  const sorted = Array.from({ length: count }, (_, place) => place).sort(compare);
  const places = sorted.filter((place) => isEnd(place) === 0);
  const ends = new Uint8Array(places.length * keyBytes);
  let at = 0;
  sorted.forEach((place, index) => {
    if (isEnd(place) !== 0) return;
    const next = sorted[index + 1];
    const end = ends.subarray(at, at + keyBytes);
    at += keyBytes;
    if (next === undefined) {
      end.fill(0xff);
      return;
    }
    end.set(bytes.subarray(next * keyBytes, (next + 1) * keyBytes));
    decrement(end);
  });
  return { places, ends };
}

function decrement(bytes: Uint8Array): void {
  for (let index = bytes.length - 1; index >= 0; index--) {
    const byte = bytes[index] as number;
    bytes[index] = (byte - 1) & 0xff;
    if (byte !== 0) return;
  }
}

type Column = Uint8Array | Uint32Array | Float64Array;

/** The column's first `count` values, or those at `places`; `width` array elements each. */
export function picked<T extends Column>(
  column: T,
  width: number,
  count: number,
  places: readonly number[] | undefined,
): T {
  if (places === undefined || count === 0) return column.slice(0, count * width) as T;
  const result = column.slice(0, count * width) as T;
  places.forEach((place, index) => {
    for (let part = 0; part < width; part++) result[index * width + part] = column[place * width + part] as number;
  });
  return result;
}

/** Comments of the elements at `places`, by their new places. */
export function renumbered(comments: ReadonlyMap<number, string>, places: readonly number[]): Map<number, string> {
  const found = new Map<number, string>();
  places.forEach((place, index) => {
    const comment = comments.get(place);
    if (comment !== undefined) found.set(index, comment);
  });
  return found;
}
