/**
 * A table's new contents against its old ones, cut so that every address goes from the old to the new in one
 * transaction: entries that nest stay together, whatever else is in the table.
 */

import { addressBits, type Family, type Prefix } from '../net/address.js';
import { prefixLast } from '../net/prefix.js';
import { calmly } from './calmly.js';
import { families, type LiveTable } from './entries/live-table.js';
import { SharedValues } from './entries/node-values.js';
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
  const wishes: Wishes = { 4: new PrefixTrie(4, new SharedValues()), 6: new PrefixTrie(6, new SharedValues()) };
  const wanted = wantedOf();
  await calmly(items, (item) => {
    const { family, value, length } = item.prefix;
    wishes[family].set(value, length, wanted(termsOf(item)));
  });
  for (const family of families) {
    await calmly(table.entries[family].snapshot(), ({ value, length, of }) => {
      if (owns(of) && wishes[family].find(value, length) === undefined) wishes[family].set(value, length, gone);
    });
  }
  return regions(wishes);
}

type Wanted = Pick<Wish, 'terms'>;
type Wishes = Readonly<Record<Family, PrefixTrie<Wanted>>>;

const gone: Wanted = { terms: undefined };

/** The same object for entries that follow each other and say the same. */
function wantedOf(): (terms: Terms) => Wanted {
  let last = gone;
  return (terms) => {
    if (last.terms !== terms) last = { terms };
    return last;
  };
}

/** Chunks that end only where no entry spans the border. */
function* regions(wishes: Wishes): IterableIterator<readonly Wish[]> {
  let chunk: Wish[] = [];
  for (const family of families) {
    let last = -1n;
    for (const { value, length, of } of wishes[family]) {
      const prefix = { family, value, length };
      if (value > last) {
        if (chunk.length >= chunkEntries) {
          yield chunk;
          chunk = [];
        }
        last = length === addressBits(family) ? value : prefixLast(prefix);
      }
      chunk.push({ prefix, terms: of.terms });
    }
  }
  if (chunk.length > 0) yield chunk;
}
