/** Prefixes in rows of numbers: 20 bytes each, where objects take 100. */

import type { Prefix } from '../../net/address.js';
import { pageBits, Rows, rowMask } from './rows.js';

/** A row: the address in four words, the most significant first; family and length. */
const lengthAt = 4;
const stride = 5;
const familyShift = 8;
const lengthMask = (1 << familyShift) - 1;

export class PrefixRows {
  readonly #rows = new Rows(Uint32Array, stride);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Answers its place. */
  add({ family, value, length }: Prefix): number {
    const place = this.#size++;
    this.#rows.reserve(place);
    const page = this.#rows.pages[place >>> pageBits]!;
    const at = (place & rowMask) * stride;
    if (family === 4) {
      page[at + 3] = Number(value);
    } else {
      for (let word = 0; word < 4; word++) page[at + word] = Number((value >> BigInt(96 - 32 * word)) & 0xffff_ffffn);
    }
    page[at + lengthAt] = (family << familyShift) | length;
    return place;
  }

  at(place: number): Prefix {
    const page = this.#rows.pages[place >>> pageBits]!;
    const at = (place & rowMask) * stride;
    const length = page[at + lengthAt]! & lengthMask;
    if (page[at + lengthAt]! >>> familyShift === 4) return { family: 4, value: BigInt(page[at + 3]!), length };
    let value = 0n;
    for (let word = 0; word < 4; word++) value = (value << 32n) | BigInt(page[at + word]!);
    return { family: 6, value, length };
  }
}
