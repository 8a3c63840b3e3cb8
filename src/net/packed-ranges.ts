/**
 * Ranges of one family in typed arrays, for lists of hundreds of thousands: 8 bytes an IPv4 range, 32 bytes an IPv6 one.
 * Filled once, sealed once, then searched.
 */

import { type Address, type AddressRange, addressBits, type Family } from './address.js';

const initialRanges = 64;
const wordBytes = 4;
const wordBits = 32n;
const wordMask = 0xffff_ffffn;

/** Layout: per range the words of `first`, then the words of `last`, most significant word first. */
export class PackedRanges {
  readonly #words: number;
  #store: Uint32Array;
  #count = 0;
  #sealed = true;

  constructor(readonly family: Family) {
    this.#words = addressBits(family) / 32;
    this.#store = new Uint32Array(initialRanges * this.#stride);
  }

  /** Ranges held; after `seal`, disjoint ones. */
  get count(): number {
    return this.#count;
  }

  /** Memory that the ranges take. */
  get bytes(): number {
    return this.#store.byteLength;
  }

  /** Adds a range of this family, in any order. */
  add(range: AddressRange): void {
    if (range.family !== this.family)
      throw new RangeError(`an IPv${range.family} range in a list of IPv${this.family}`);
    if (this.#count * this.#stride === this.#store.length) this.#resize(this.#count * 2);
    const at = this.#count * this.#stride;
    this.#write(at, range.first);
    this.#write(at + this.#words, range.last);
    this.#count++;
    this.#sealed = false;
  }

  /**
   * Adds ranges as they stand in a file: first and last address of each, in network order.
   * @throws RangeError for half a range, or one that ends before it begins.
   */
  addRecords(records: Uint8Array): void {
    const size = this.#stride * wordBytes;
    if (records.length % size !== 0) throw new RangeError(`${records.length} bytes are no whole records of ${size}`);
    const view = new DataView(records.buffer, records.byteOffset, records.length);
    const added = records.length / size;
    if ((this.#count + added) * this.#stride > this.#store.length)
      this.#resize(Math.max(this.#count * 2, this.#count + added));
    const start = this.#count * this.#stride;
    for (let word = 0; word < added * this.#stride; word++)
      this.#store[start + word] = view.getUint32(word * wordBytes);
    for (let at = start; at < start + added * this.#stride; at += this.#stride) {
      if (this.#compare(this.#store, at, this.#store, at + this.#words) > 0)
        throw new RangeError(`the range at byte ${(at - start) * wordBytes} ends before it begins`);
    }
    this.#count += added;
    this.#sealed = false;
  }

  /** The disjoint ranges in order, as `addRecords` takes them. Seals first. */
  records(): Buffer {
    this.seal();
    const bytes = Buffer.alloc(this.#count * this.#stride * wordBytes);
    for (let word = 0; word < this.#count * this.#stride; word++)
      bytes.writeUInt32BE(this.#store[word]!, word * wordBytes);
    return bytes;
  }

  /** Sorts, joins ranges that overlap or touch, and gives back memory that isn't needed. */
  seal(): void {
    if (this.#sealed) return;
    this.#sort();
    this.#join();
    this.#resize(this.#count);
    this.#sealed = true;
  }

  /** Is the address in one of the ranges? Seals first. Takes time in the logarithm of the count. */
  contains(address: Address): boolean {
    if (address.family !== this.family) return false;
    this.seal();
    const wanted = new Uint32Array(this.#words);
    for (let word = 0, value = address.value; word < this.#words; word++, value >>= wordBits) {
      wanted[this.#words - 1 - word] = Number(value & wordMask);
    }
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#store, middle * this.#stride, wanted, 0) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.#compare(this.#store, (low - 1) * this.#stride + this.#words, wanted, 0) >= 0;
  }

  /** The disjoint ranges in order. Seals first. */
  *[Symbol.iterator](): IterableIterator<AddressRange> {
    this.seal();
    for (let i = 0; i < this.#count; i++) yield this.#read(i);
  }

  get #stride(): number {
    return this.#words * 2;
  }

  #read(index: number): AddressRange {
    const at = index * this.#stride;
    return { family: this.family, first: this.#value(at), last: this.#value(at + this.#words) };
  }

  #value(at: number): bigint {
    let value = BigInt(this.#store[at]!);
    for (let word = 1; word < this.#words; word++) value = (value << wordBits) | BigInt(this.#store[at + word]!);
    return value;
  }

  #write(at: number, value: bigint): void {
    for (let word = this.#words - 1, rest = value; word >= 0; word--, rest >>= wordBits) {
      this.#store[at + word] = Number(rest & wordMask);
    }
  }

  #compare(a: Uint32Array, atA: number, b: Uint32Array, atB: number): number {
    for (let word = 0; word < this.#words; word++) {
      const difference = a[atA + word]! - b[atB + word]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** By first address. Lists mostly come sorted, so that is tried before anything is copied. */
  #sort(): void {
    const stride = this.#stride;
    const store = this.#store;
    let sorted = true;
    for (let i = 1; i < this.#count && sorted; i++) {
      sorted = this.#compare(store, (i - 1) * stride, store, i * stride) <= 0;
    }
    if (sorted) return;
    const order = new Uint32Array(this.#count).map((_, index) => index);
    order.sort((a, b) => this.#compare(store, a * stride, store, b * stride));
    const inOrder = new Uint32Array(this.#count * stride);
    for (let i = 0; i < this.#count; i++) {
      inOrder.set(store.subarray(order[i]! * stride, (order[i]! + 1) * stride), i * stride);
    }
    this.#store = inOrder;
  }

  /** In place: the range being grown stands at `kept`. */
  #join(): void {
    const stride = this.#stride;
    const words = this.#words;
    let kept = 0;
    for (let i = 1; i < this.#count; i++) {
      const last = kept * stride + words;
      const next = i * stride;
      if (this.#touches(last, next)) {
        if (this.#compare(this.#store, next + words, this.#store, last) > 0) {
          this.#store.copyWithin(last, next + words, next + stride);
        }
      } else {
        kept++;
        this.#store.copyWithin(kept * stride, next, next + stride);
      }
    }
    this.#count = this.#count === 0 ? 0 : kept + 1;
  }

  /** Does the range that starts at `first` start no later than just after `last`? */
  #touches(last: number, first: number): boolean {
    const order = this.#compare(this.#store, first, this.#store, last);
    return order <= 0 || this.#value(first) === this.#value(last) + 1n;
  }

  #resize(ranges: number): void {
    const resized = new Uint32Array(Math.max(ranges, initialRanges) * this.#stride);
    resized.set(this.#store.subarray(0, this.#count * this.#stride));
    this.#store = resized;
  }
}
