/** Entries with what was said of them before and after: 16 bytes each, 28 of IPv6, where objects take 150. */

import type { Family, Prefix } from '../../net/address.js';
import { Numbered } from './numbered.js';
import { PrefixRows } from './prefix-rows.js';
import { pageBits, Rows, rowMask } from './rows.js';
import type { Terms } from './terms.js';

export interface Put {
  readonly prefix: Prefix;
  readonly before: Terms | undefined;
  readonly after: Terms | undefined;
}

/** A row: the numbers of the terms before and after. */
const stride = 2;

interface Rowed {
  readonly prefixes: PrefixRows;
  readonly terms: Rows<Uint32Array<ArrayBuffer>>;
}

const rowed = (family: Family): Rowed => ({
  prefixes: new PrefixRows(family),
  terms: new Rows<Uint32Array<ArrayBuffer>>(Uint32Array, stride),
});

export class PutList {
  readonly #families: Readonly<Record<Family, Rowed>> = { 4: rowed(4), 6: rowed(6) };
  readonly #terms = new Numbered<Terms>();

  add({ prefix, before, after }: Put): void {
    const { prefixes, terms } = this.#families[prefix.family];
    const place = prefixes.add(prefix);
    terms.reserve(place);
    const page = terms.pages[place >>> pageBits]!;
    page[(place & rowMask) * stride] = this.#terms.numberOf(before);
    page[(place & rowMask) * stride + 1] = this.#terms.numberOf(after);
  }

  /** Those of a family, the last first. */
  *backwards(family: Family): IterableIterator<Put> {
    const { prefixes, terms } = this.#families[family];
    for (let place = prefixes.size - 1; place >= 0; place--) {
      const page = terms.pages[place >>> pageBits]!;
      yield {
        prefix: prefixes.at(place),
        before: this.#terms.at(page[(place & rowMask) * stride]!),
        after: this.#terms.at(page[(place & rowMask) * stride + 1]!),
      };
    }
  }
}
