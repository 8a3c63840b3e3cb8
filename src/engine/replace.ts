/**
 * A table's new contents against its old ones, cut so that every address goes from the old to the new in one
 * transaction: entries that nest stay together, whatever else is in the table.
 */

import type { Family, Prefix } from '../net/address.js';
import { shardsOf } from '../net/shards.js';
import { calmly } from './calmly.js';
import { families, type LiveTable } from './entries/live-table.js';
import { type Node, SharedValues } from './entries/node-values.js';
import { pageBits, Rows, rowMask } from './entries/rows.js';
import type { Terms } from './entries/terms.js';
import { PrefixTrie } from './entries/trie.js';

/**
 * Entries in one transaction. Half a million come one after the other, and others' bans wait for the event loop as for the
 * kernel: both are held up for some 8 ms.
 */
const regionEntries = 500;

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
  const tops = {
    4: await topsOf(wishes[4], table.sets[4].prefixes.length),
    6: await topsOf(wishes[6], table.sets[6].prefixes.length),
  };
  return regions(wishes, tops);
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

/** Numbers of nodes, one after the other. */
class Nodes {
  readonly #rows = new Rows(Uint32Array);
  #size = 0;

  push(node: Node): void {
    this.#rows.reserve(this.#size);
    this.#rows.pages[this.#size >>> pageBits]![this.#size & rowMask] = node;
    this.#size++;
  }

  *[Symbol.iterator](): IterableIterator<Node> {
    for (let place = 0; place < this.#size; place++) yield this.#rows.pages[place >>> pageBits]![place & rowMask]!;
  }
}

/**
 * Chunks that end only where no entry spans the border. Where a tier has several sets, one after the other: what a chunk
 * costs the kernel is mostly the size of the sets that it changes.
 */
function* regions(wishes: Wishes, tops: Readonly<Record<Family, readonly Nodes[]>>): IterableIterator<readonly Wish[]> {
  let chunk: Wish[] = [];
  for (const family of families) {
    for (const nodes of tops[family]) {
      for (const top of nodes) {
        if (chunk.length >= regionEntries) {
          yield chunk;
          chunk = [];
        }
        for (const { value, length, of } of wishes[family].from(top)) {
          chunk.push({ prefix: { family, value, length }, terms: of.terms });
        }
      }
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** The entries that no other covers, by the shard where they begin. */
async function topsOf(wishes: PrefixTrie<Wanted>, shards: number): Promise<readonly Nodes[]> {
  const { family } = wishes;
  const tops = Array.from({ length: Math.max(1, shards) }, () => new Nodes());
  await calmly(wishes.tops(), (node) => {
    const { value } = wishes.at(node);
    tops[shards > 1 ? shardsOf({ family, first: value, last: value })[0]! : 0]!.push(node);
  });
  return tops;
}
