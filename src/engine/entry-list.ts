/** Entries that are held until all have come: 24 bytes each, where objects take 150. */

import { Numbered } from './entries/numbered.js';
import { PrefixRows } from './entries/prefix-rows.js';
import { pageBits, Rows, rowMask } from './entries/rows.js';
import type { Entry } from './tables.js';

type Words = Omit<Entry, 'prefix'>;

export class EntryList implements Iterable<Entry> {
  readonly #prefixes = new PrefixRows();
  readonly #numbers = new Rows(Uint32Array);
  readonly #words = new Numbered<Words>();
  /** Entries that follow each other mostly say the same. */
  #last: Words = {};

  get size(): number {
    return this.#prefixes.size;
  }

  add({ prefix, not, timeoutMs, comment }: Entry): void {
    const last = this.#last;
    if (last.not !== not || last.timeoutMs !== timeoutMs || last.comment !== comment) {
      this.#last = { not, timeoutMs, comment };
    }
    const place = this.#prefixes.add(prefix);
    this.#numbers.reserve(place);
    this.#numbers.pages[place >>> pageBits]![place & rowMask] = this.#words.numberOf(this.#last);
  }

  *[Symbol.iterator](): IterableIterator<Entry> {
    for (let place = 0; place < this.size; place++) {
      const { not, timeoutMs, comment } = this.#words.at(this.#numbers.pages[place >>> pageBits]![place & rowMask]!)!;
      yield { prefix: this.#prefixes.at(place), not, timeoutMs, comment };
    }
  }
}
