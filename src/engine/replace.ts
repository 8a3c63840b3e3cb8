/**
 * A table's new contents against its old ones, cut so that every address goes from the old to the new in one
 * transaction: entries that nest stay together, whatever else is in the table.
 */

import { addressBits, type Family, type Prefix } from '../net/address.js';
import { prefixLast } from '../net/prefix.js';
import { calmly } from './calmly.js';
import { families, type LiveTable } from './entries/live-table.js';
import type { Terms } from './entries/terms.js';
import { PrefixTrie } from './entries/trie.js';
import { chunkEntries } from './table-writer.js';

export interface Wish {
  readonly prefix: Prefix;
  /** Undefined: to be deleted. */
  readonly terms: Terms | undefined;
}

export interface Replacing<T extends { readonly prefix: Prefix }> {
  readonly items: Iterable<T>;
  readonly termsOf: (item: T) => Terms;
  /** Entries of the table that go when they aren't among the items. */
  readonly owns: (terms: Terms) => boolean;
}

/** What has to be done so that the table holds exactly these entries, in address order. Gives way to others meanwhile. */
export async function replacement<T extends { readonly prefix: Prefix }>(
  table: LiveTable,
  { items, termsOf, owns }: Replacing<T>,
): Promise<Iterable<readonly Wish[]>> {
  const wishes = { 4: new PrefixTrie<Wish>(4), 6: new PrefixTrie<Wish>(6) };
  const note = (wish: Wish) => wishes[wish.prefix.family].set(wish.prefix.value, wish.prefix.length, wish);
  await calmly(items, (item) => note({ prefix: item.prefix, terms: termsOf(item) }));
  for (const family of families) {
    await calmly(table.entries[family].snapshot(), ({ value, length, of }) => {
      if (!owns(of) || wishes[family].find(value, length) !== undefined) return;
      note({ prefix: { family, value, length }, terms: undefined });
    });
  }
  return regions(wishes);
}

/** Chunks that end only where no entry spans the border. */
function* regions(wishes: Readonly<Record<Family, PrefixTrie<Wish>>>): IterableIterator<readonly Wish[]> {
  let chunk: Wish[] = [];
  for (const family of families) {
    let last = -1n;
    for (const { of: wish } of wishes[family]) {
      if (wish.prefix.value > last) {
        if (chunk.length >= chunkEntries) {
          yield chunk;
          chunk = [];
        }
        last = wish.prefix.length === addressBits(family) ? wish.prefix.value : prefixLast(wish.prefix);
      }
      chunk.push(wish);
    }
  }
  if (chunk.length > 0) yield chunk;
}
