/** Entries that are held until all have come: 12 bytes each, 24 of IPv6, where objects take 150. */

import type { Family } from '../net/address.js';
import { families } from './entries/live-table.js';
import { Numbered } from './entries/numbered.js';
import { PrefixRows } from './entries/prefix-rows.js';
import { pageBits, Rows, rowMask } from './entries/rows.js';
import type { Entry } from './tables.js';

type Words = Omit<Entry, 'prefix'>;

interface Rowed {
  readonly prefixes: PrefixRows;
  readonly words: Rows<Uint32Array<ArrayBuffer>>;
}

const rowed = (family: Family): Rowed => ({ prefixes: new PrefixRows(family), words: new Rows(Uint32Array) });

/** Those of each family in the order in which they were added, IPv4 first. */
export class EntryList implements Iterable<Entry> {
  readonly #families: Readonly<Record<Family, Rowed>> = { 4: rowed(4), 6: rowed(6) };
  readonly #words = new Numbered<Words>();
  /** Entries that follow each other mostly say the same. */
  #last: Words = {};

  get size(): number {
    return this.#families[4].prefixes.size + this.#families[6].prefixes.size;
  }

  add({ prefix, not, timeoutMs, comment }: Entry): void {
    const last = this.#last;
    if (last.not !== not || last.timeoutMs !== timeoutMs || last.comment !== comment) {
      this.#last = { not, timeoutMs, comment };
    }
    const { prefixes, words } = this.#families[prefix.family];
    const place = prefixes.add(prefix);
    words.reserve(place);
    words.pages[place >>> pageBits]![place & rowMask] = this.#words.numberOf(this.#last);
  }

  *[Symbol.iterator](): IterableIterator<Entry> {
    for (const family of families) {
      const { prefixes, words } = this.#families[family];
      for (let place = 0; place < prefixes.size; place++) {
        const { not, timeoutMs, comment } = this.#words.at(words.pages[place >>> pageBits]![place & rowMask]!)!;
        yield { prefix: prefixes.at(place), not, timeoutMs, comment };
      }
    }
  }
}
