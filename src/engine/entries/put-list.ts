/** Entries with what was said of them before and after: 28 bytes each, where objects take 150. */

import type { Prefix } from '../../net/address.js';
import { Numbered } from './numbered.js';
import { PrefixRows } from './prefix-rows.js';
import { pageBits, Rows, rowMask } from './rows.js';
import type { Terms } from './terms.js';

export interface Put {
  readonly prefix: Prefix;
  readonly before: Terms | undefined;
  readonly after: Terms | undefined;
}

export class PutList {
  readonly #prefixes = new PrefixRows();
  readonly #before = new Rows(Uint32Array);
  readonly #after = new Rows(Uint32Array);
  readonly #terms = new Numbered<Terms>();

  get size(): number {
    return this.#prefixes.size;
  }

  add({ prefix, before, after }: Put): void {
    const place = this.#prefixes.add(prefix);
    this.#before.reserve(place);
    this.#after.reserve(place);
    this.#before.pages[place >>> pageBits]![place & rowMask] = this.#terms.numberOf(before);
    this.#after.pages[place >>> pageBits]![place & rowMask] = this.#terms.numberOf(after);
  }

  at(place: number): Put {
    return {
      prefix: this.#prefixes.at(place),
      before: this.#terms.at(this.#before.pages[place >>> pageBits]![place & rowMask]!),
      after: this.#terms.at(this.#after.pages[place >>> pageBits]![place & rowMask]!),
    };
  }
}
