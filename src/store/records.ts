/**
 * Fixed records of 48 bytes in pages of 1,024: entries without an object each, and without the copies of a growing array.
 *
 * | Offset | Field                                                              |
 * |--------|--------------------------------------------------------------------|
 * | 0      | address, 4 words of u32, most significant first (IPv4: word 0)     |
 * | 16     | stamp, f64                                                         |
 * | 24     | expiry in ms, f64; 0: never                                        |
 * | 32     | next record of a chain, or of the free list, u32                   |
 * | 36     | comment (interned), u32                                            |
 * | 40     | origin (interned), u32                                             |
 * | 44     | flags u8, prefix length u8, node (interned) u16                    |
 */

import { hashWords } from './word-hash.js';

const pageBits = 10;
const recordsPerPage = 1 << pageBits;
const slotMask = recordsPerPage - 1;
const recordBytes = 48;
const words = recordBytes / 4;
const floats = recordBytes / 8;
const halves = recordBytes / 2;

/** No record: the end of a chain. */
export const none = 0xffff_ffff;

/** Bits of `flags`. A record without `inUse` is free. */
export const inUse = 1;
export const isDelete = 2;
export const isException = 4;
export const isIpv6 = 8;

/** What records may share. */
export interface PackedTerms {
  readonly comment: number;
  readonly origin: number;
  readonly node: number;
  /** Milliseconds since the epoch; 0: never. */
  readonly expiry: number;
  readonly flags: number;
}

class Page {
  readonly #memory = new ArrayBuffer(recordsPerPage * recordBytes);
  readonly words = new Uint32Array(this.#memory);
  readonly floats = new Float64Array(this.#memory);
  readonly halves = new Uint16Array(this.#memory);
  readonly bytes = new Uint8Array(this.#memory);
}

export class Records {
  readonly #pages: Page[] = [];
  #free = none;
  #extent = 0;

  /** One past the highest index that was ever in use. */
  get extent(): number {
    return this.#extent;
  }

  allocate(): number {
    if (this.#free !== none) {
      const index = this.#free;
      this.#free = this.next(index);
      return index;
    }
    if (this.#extent === this.#pages.length << pageBits) this.#pages.push(new Page());
    return this.#extent++;
  }

  release(index: number): void {
    this.setFlags(index, 0);
    this.setNext(index, this.#free);
    this.#free = index;
  }

  /** Copies the address into `key`. */
  readKey(index: number, key: Uint32Array): void {
    const page = this.#page(index);
    const at = (index & slotMask) * words;
    for (let i = 0; i < 4; i++) key[i] = page.words[at + i]!;
  }

  writeKey(index: number, key: Uint32Array): void {
    const page = this.#page(index);
    const at = (index & slotMask) * words;
    for (let i = 0; i < 4; i++) page.words[at + i] = key[i]!;
  }

  /** As `hashWords` of its key and length. */
  hash(index: number): number {
    return hashWords(this.#page(index).words, (index & slotMask) * words, this.prefixLength(index));
  }

  hasKey(index: number, key: Uint32Array): boolean {
    const page = this.#page(index);
    const at = (index & slotMask) * words;
    for (let i = 0; i < 4; i++) if (page.words[at + i] !== key[i]) return false;
    return true;
  }

  /** Everything but the key and the chain; the page is looked for once. */
  fill(index: number, stamp: number, { comment, origin, node, expiry, flags }: PackedTerms, moreFlags: number): void {
    const page = this.#page(index);
    const slot = index & slotMask;
    page.floats[slot * floats + 2] = stamp;
    page.floats[slot * floats + 3] = expiry;
    page.words[slot * words + 9] = comment;
    page.words[slot * words + 10] = origin;
    page.bytes[slot * recordBytes + 44] = flags | moreFlags;
    page.halves[slot * halves + 23] = node;
  }

  stamp(index: number): number {
    return this.#page(index).floats[(index & slotMask) * floats + 2]!;
  }

  expiry(index: number): number {
    return this.#page(index).floats[(index & slotMask) * floats + 3]!;
  }

  setExpiry(index: number, expiry: number): void {
    this.#page(index).floats[(index & slotMask) * floats + 3] = expiry;
  }

  next(index: number): number {
    return this.#page(index).words[(index & slotMask) * words + 8]!;
  }

  setNext(index: number, next: number): void {
    this.#page(index).words[(index & slotMask) * words + 8] = next;
  }

  comment(index: number): number {
    return this.#page(index).words[(index & slotMask) * words + 9]!;
  }

  origin(index: number): number {
    return this.#page(index).words[(index & slotMask) * words + 10]!;
  }

  flags(index: number): number {
    return this.#page(index).bytes[(index & slotMask) * recordBytes + 44]!;
  }

  setFlags(index: number, flags: number): void {
    this.#page(index).bytes[(index & slotMask) * recordBytes + 44] = flags;
  }

  prefixLength(index: number): number {
    return this.#page(index).bytes[(index & slotMask) * recordBytes + 45]!;
  }

  setPrefixLength(index: number, length: number): void {
    this.#page(index).bytes[(index & slotMask) * recordBytes + 45] = length;
  }

  node(index: number): number {
    return this.#page(index).halves[(index & slotMask) * halves + 23]!;
  }

  #page(index: number): Page {
    return this.#pages[index >>> pageBits]!;
  }
}
