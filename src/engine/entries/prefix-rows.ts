/** Prefixes of one family in rows of numbers: 8 or 20 bytes each, where objects take 100. */

import { addressBits, type Family, type Prefix } from '../../net/address.js';
import { pageBits, Rows, rowMask } from './rows.js';

/** A row: the address in words, the most significant first; the length. */
export class PrefixRows {
  readonly #words: number;
  readonly #rows: Rows<Uint32Array<ArrayBuffer>>;
  #size = 0;

  constructor(readonly family: Family) {
    this.#words = addressBits(family) / 32;
    this.#rows = new Rows<Uint32Array<ArrayBuffer>>(Uint32Array, this.#words + 1);
  }

  get size(): number {
    return this.#size;
  }

  /** Answers its place. */
  add({ value, length }: Prefix): number {
    const place = this.#size++;
    this.#rows.reserve(place);
    const page = this.#rows.pages[place >>> pageBits]!;
    const at = (place & rowMask) * this.#rows.stride;
    page[at + this.#words] = length;
    if (this.#words === 1) {
      page[at] = Number(value);
    } else {
      for (let word = 0; word < 4; word++) page[at + word] = Number((value >> BigInt(96 - 32 * word)) & 0xffff_ffffn);
    }
    return place;
  }

  at(place: number): Prefix {
    const page = this.#rows.pages[place >>> pageBits]!;
    const at = (place & rowMask) * this.#rows.stride;
    let value = BigInt(page[at]!);
    for (let word = 1; word < this.#words; word++) value = (value << 32n) | BigInt(page[at + word]!);
    return { family: this.family, value, length: page[at + this.#words]! };
  }
}
