/**
 * The answers to a listing of a set, collected in columns; elements that come again are recognised.
 */

import { ATTRIBUTE_HEADER_BYTES, align, attributeEnd, attributeType, readText } from './netlink.js';
import { readNfgenmsg } from './nfnetlink.js';
import { ElementScan } from './nftables-element-scan.js';
import { LIST, USERDATA_COMMENT } from './nftables-elements.js';
import {
  COUNTER_WORDS,
  intervalsOf,
  MARK,
  type PackedElements,
  picked,
  renumbered,
} from './nftables-packed-elements.js';

const FIRST_CAPACITY = 256;

/** Collects the elements of a listing. */
export class ElementTable {
  #count = 0;
  #keys = new Uint8Array(0);
  #keyEnds = new Uint8Array(0);
  #marks = new Uint8Array(0);
  #timeouts = new Float64Array(0);
  #expiries = new Float64Array(0);
  #counters = new Uint32Array(0);
  readonly #comments = new Map<number, string>();
  /** Open addressing: place of an element + 1, 0 for none. */
  #slots = new Int32Array(0);
  #repeated = 0;
  readonly #generations = new Set<number>();
  /** The element being read. */
  readonly #seen = new ElementScan();

  /** @param reset each reading zeroed the counters: a repeated element has counted further, so its counts are summed */
  constructor(private readonly reset: boolean) {}

  get count(): number {
    return this.#count;
  }

  /**
   * Takes the body of a NEWSETELEM message and answers how many elements were new.
   * @throws PosternError `kernel` when it is malformed.
   */
  take(body: Buffer): number {
    const before = this.#count;
    const { resource, attributesAt } = readNfgenmsg(body);
    this.#generations.add(resource);
    for (let at = attributesAt, end = 0; at < body.length; at = align(end)) {
      end = attributeEnd(body, at, body.length);
      if (attributeType(body, at) !== LIST.ELEMENTS) continue;
      for (let element = at + ATTRIBUTE_HEADER_BYTES, elementEnd = 0; element < end; element = align(elementEnd)) {
        elementEnd = attributeEnd(body, element, end);
        this.#takeElement(body, element + ATTRIBUTE_HEADER_BYTES, elementEnd);
      }
    }
    return this.#count - before;
  }

  /**
   * The elements as columns.
   * @param pairs intervals came as start and end elements: join them, in key order
   */
  pack(pairs: boolean): PackedElements {
    const disturbed = this.#repeated > 0 || (pairs && this.#generations.size > 1);
    const order = pairs ? intervalsOf(this.#keys, this.#seen.keyBytes, this.#marks, this.#count) : undefined;
    const count = order?.places.length ?? this.#count;
    const pick = order?.places;
    const bytes = this.#seen.keyBytes;
    return {
      count,
      keyBytes: bytes,
      keys: picked(this.#keys, bytes, count, pick),
      keyEnds: order?.ends ?? picked(this.#keyEnds, bytes, this.#keyEnds.length === 0 ? 0 : count, pick),
      marks: picked(this.#marks, 1, count, pick),
      timeouts: picked(this.#timeouts, 1, count, pick),
      expiries: picked(this.#expiries, 1, count, pick),
      counters: picked(this.#counters, COUNTER_WORDS, this.#counters.length === 0 ? 0 : count, pick),
      comments: order === undefined ? this.#comments : renumbered(this.#comments, order.places),
      disturbed,
    };
  }

  #takeElement(data: Buffer, from: number, to: number): void {
    const seen = this.#seen;
    seen.look(data, from, to);
    // The catch-all element has no key.
    if (seen.key === 0) return;
    const place = this.#place(data);
    this.#marks[place] = (this.#marks[place] as number) | seen.mark;
    this.#timeouts[place] = seen.timeout === 0 ? 0 : milliseconds(data, seen.timeout);
    this.#expiries[place] = seen.expiry === 0 ? 0 : milliseconds(data, seen.expiry);
    if (seen.counter !== 0) this.#count4(data, place, seen.counter);
    if (seen.userdata !== 0) this.#comment(data.subarray(seen.userdata, seen.userdataEnd), place);
  }

  #count4(data: Buffer, place: number, at: number): void {
    if (this.#counters.length === 0) this.#counters = new Uint32Array(this.#marks.length * COUNTER_WORDS);
    const words = this.#counters;
    const word = place * COUNTER_WORDS;
    const [bytesAt, packetsAt] = [at, at + ATTRIBUTE_HEADER_BYTES + 8];
    if (this.reset) {
      addWords(words, word, data, packetsAt);
      addWords(words, word + 2, data, bytesAt);
      return;
    }
    words[word] = u32be(data, packetsAt);
    words[word + 1] = u32be(data, packetsAt + 4);
    words[word + 2] = u32be(data, bytesAt);
    words[word + 3] = u32be(data, bytesAt + 4);
  }

  #comment(userdata: Buffer, place: number): void {
    for (let at = 0; at + 2 <= userdata.length; ) {
      const end = at + 2 + (userdata[at + 1] as number);
      if (userdata[at] === USERDATA_COMMENT) {
        this.#comments.set(place, readText(userdata.subarray(at + 2, end)));
        return;
      }
      at = end;
    }
  }

  /** The place of the element just seen, a new one when it wasn't there. */
  #place(data: Buffer): number {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    const { key, keyEnd, mark } = this.#seen;
    let slot = hash(data, key, this.#seen.keyBytes, mark & MARK.INTERVAL_END) & mask;
    for (let found = this.#slots[slot] as number; found !== 0; found = this.#slots[slot] as number) {
      if (this.#same(data, found - 1)) {
        this.#repeated++;
        return found - 1;
      }
      slot = (slot + 1) & mask;
    }
    const place = this.#count++;
    this.#slots[slot] = place + 1;
    copyBytes(data, key, this.#keys, place * this.#seen.keyBytes, this.#seen.keyBytes);
    // Without an upper bound of its own an element is one value.
    if (keyEnd !== 0 && this.#keyEnds.length === 0) this.#keyEnds = this.#keys.slice();
    if (this.#keyEnds.length > 0)
      copyBytes(data, keyEnd || key, this.#keyEnds, place * this.#seen.keyBytes, this.#seen.keyBytes);
    return place;
  }

  #same(data: Buffer, place: number): boolean {
    const { key, keyEnd, mark } = this.#seen;
    if (((this.#marks[place] as number) & MARK.INTERVAL_END) !== (mark & MARK.INTERVAL_END)) return false;
    const at = place * this.#seen.keyBytes;
    if (!equalBytes(data, key, this.#keys, at, this.#seen.keyBytes)) return false;
    return this.#keyEnds.length === 0 || equalBytes(data, keyEnd || key, this.#keyEnds, at, this.#seen.keyBytes);
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#marks.length * 2);
    this.#keys = enlarged(this.#keys, new Uint8Array(capacity * this.#seen.keyBytes));
    if (this.#keyEnds.length > 0)
      this.#keyEnds = enlarged(this.#keyEnds, new Uint8Array(capacity * this.#seen.keyBytes));
    this.#marks = enlarged(this.#marks, new Uint8Array(capacity));
    this.#timeouts = enlarged(this.#timeouts, new Float64Array(capacity));
    this.#expiries = enlarged(this.#expiries, new Float64Array(capacity));
    if (this.#counters.length > 0) {
      this.#counters = enlarged(this.#counters, new Uint32Array(capacity * COUNTER_WORDS));
    }
    const mask = capacity * 2 - 1;
    this.#slots = new Int32Array(capacity * 2);
    for (let place = 0; place < this.#count; place++) {
      const end = (this.#marks[place] as number) & MARK.INTERVAL_END;
      let slot = hash(this.#keys, place * this.#seen.keyBytes, this.#seen.keyBytes, end) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = place + 1;
    }
  }
}

function milliseconds(data: Buffer, at: number): number {
  return data.readUInt32BE(at) * 0x1_0000_0000 + data.readUInt32BE(at + 4);
}

function addWords(words: Uint32Array, at: number, data: Buffer, from: number): void {
  const low = (words[at + 1] as number) + data.readUInt32BE(from + 4);
  words[at + 1] = low;
  words[at] = (words[at] as number) + data.readUInt32BE(from) + (low > 0xffff_ffff ? 1 : 0);
}

function u32be(data: Buffer, at: number): number {
  return (
    (data[at] as number) * 0x100_0000 +
    (((data[at + 1] as number) << 16) | ((data[at + 2] as number) << 8) | (data[at + 3] as number))
  );
}

/** FNV-1a. */
function hash(data: Uint8Array, at: number, bytes: number, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (let index = at; index < at + bytes; index++) value = Math.imul(value ^ (data[index] as number), 0x01000193);
  return value ^ (value >>> 15);
}

function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, bytes: number): void {
  for (let index = 0; index < bytes; index++) to[toAt + index] = from[fromAt + index] as number;
}

function equalBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, bytes: number): boolean {
  for (let index = 0; index < bytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

function enlarged<T extends Uint8Array | Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
