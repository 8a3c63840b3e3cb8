/**
 * The answers to a listing of a set, packed: 65,536 counted addresses take 3 MB and no objects. The same attributes as
 * in nftables-elements.ts, read without building an element, and repeated elements are recognised.
 */

import { ATTRIBUTE_HEADER_BYTES, align, attributeEnd, attributeType, malformed, readText } from './netlink.js';
import { readNfgenmsg } from './nfnetlink.js';
import type { WireElement } from './nftables-elements.js';

const LIST_ELEMENTS = 3;
const ELEM = {
  KEY: 1,
  FLAGS: 3,
  TIMEOUT: 4,
  EXPIRATION: 5,
  USERDATA: 6,
  EXPR: 7,
  KEY_END: 10,
  EXPRESSIONS: 11,
} as const;
const FLAG_INTERVAL_END = 1;
const COUNTER_NAME = Buffer.from('counter\0');
const EXPRESSION = { NAME: 1, DATA: 2 } as const;
const COUNTER = { BYTES: 1, PACKETS: 2 } as const;

/** Bits of `marks`. */
export const MARK = { INTERVAL_END: 1, COUNTER: 2 } as const;
const FIRST_CAPACITY = 256;
/** Words of a counter: packets high and low, bytes high and low. */
const COUNTER_WORDS = 4;

/** Elements in columns; element i's key is at `i * keyBytes`. Made of nothing but typed arrays, to cross threads. */
export interface PackedElements {
  readonly count: number;
  readonly keyBytes: number;
  readonly keys: Uint8Array;
  /** Inclusive upper bounds; empty when no element is an interval. */
  readonly keyEnds: Uint8Array;
  readonly marks: Uint8Array;
  /** Milliseconds; 0: permanent. */
  readonly timeouts: Float64Array;
  readonly expiries: Float64Array;
  /** Four words each: packets high and low, bytes high and low; empty when no element counts. */
  readonly counters: Uint32Array;
  readonly comments: ReadonlyMap<number, string>;
  /** The set changed while it was listed, so elements may be missing. */
  readonly disturbed: boolean;
}

/** Collects the elements of a listing. */
export class ElementTable {
  #count = 0;
  #keyBytes = 0;
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
  readonly #layout = new ElementLayout();
  #seenFrom = 0;
  // Where the attributes of the element being read lie, 0 for none.
  readonly #seen = { key: 0, keyEnd: 0, timeout: 0, expiry: 0, counter: 0, userdata: 0, userdataEnd: 0, mark: 0 };

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
      if (attributeType(body, at) !== LIST_ELEMENTS) continue;
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
    const order = pairs ? this.#starts() : undefined;
    const count = order?.places.length ?? this.#count;
    const pick = order?.places;
    const bytes = this.#keyBytes;
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
    if (this.#layout.matches(data, from, to)) this.#move(from);
    else this.#lookAt(data, from, to);
    // The catch-all element has no key.
    if (seen.key === 0) return;
    const place = this.#place(data);
    this.#marks[place] = (this.#marks[place] as number) | seen.mark;
    this.#timeouts[place] = seen.timeout === 0 ? 0 : milliseconds(data, seen.timeout);
    this.#expiries[place] = seen.expiry === 0 ? 0 : milliseconds(data, seen.expiry);
    if (seen.counter !== 0) this.#count4(data, place, seen.counter);
    if (seen.userdata !== 0) this.#comment(data.subarray(seen.userdata, seen.userdataEnd), place);
  }

  #lookAt(data: Buffer, from: number, to: number): void {
    const seen = this.#seen;
    seen.key = seen.keyEnd = seen.timeout = seen.expiry = seen.counter = seen.userdata = seen.mark = 0;
    this.#seenFrom = from;
    this.#layout.begin(from, to);
    for (let at = from, end = 0; at < to; at = align(end)) {
      end = attributeEnd(data, at, to);
      this.#layout.header(data, at);
      this.#see(data, attributeType(data, at), at + ATTRIBUTE_HEADER_BYTES, end);
    }
    // Comments and flags differ where headers don't.
    if (seen.userdata !== 0 || seen.mark & MARK.INTERVAL_END) this.#layout.forget();
  }

  /** An element that looks like the last one has everything in the same places. */
  #move(from: number): void {
    const seen = this.#seen;
    const by = from - this.#seenFrom;
    this.#seenFrom = from;
    seen.key += by;
    if (seen.keyEnd !== 0) seen.keyEnd += by;
    if (seen.timeout !== 0) seen.timeout += by;
    if (seen.expiry !== 0) seen.expiry += by;
    if (seen.counter !== 0) seen.counter += by;
  }

  #see(data: Buffer, type: number, from: number, end: number): void {
    const seen = this.#seen;
    switch (type) {
      case ELEM.KEY:
        seen.key = this.#value(data, from, end);
        break;
      case ELEM.KEY_END:
        seen.keyEnd = this.#value(data, from, end);
        break;
      case ELEM.FLAGS:
        if (end - from === 4 && ((data[from + 3] as number) & FLAG_INTERVAL_END) !== 0) seen.mark |= MARK.INTERVAL_END;
        break;
      case ELEM.TIMEOUT:
        seen.timeout = eightBytes(from, end);
        break;
      case ELEM.EXPIRATION:
        seen.expiry = eightBytes(from, end);
        break;
      case ELEM.USERDATA:
        seen.userdata = from;
        seen.userdataEnd = end;
        break;
      case ELEM.EXPR:
        this.#expression(data, from, end);
        break;
      case ELEM.EXPRESSIONS:
        for (let at = from, stop = 0; at < end; at = align(stop)) {
          stop = attributeEnd(data, at, end);
          this.#layout.header(data, at);
          this.#expression(data, at + ATTRIBUTE_HEADER_BYTES, stop);
        }
        break;
    }
  }

  /** Where the bytes of a key lie; keys of one set are all of one length. */
  #value(data: Buffer, from: number, to: number): number {
    this.#layout.header(data, from);
    const end = attributeEnd(data, from, to);
    const bytes = end - from - ATTRIBUTE_HEADER_BYTES;
    if (this.#keyBytes === 0) this.#keyBytes = bytes;
    if (bytes !== this.#keyBytes || bytes === 0) throw malformed(`key of ${bytes} bytes`, from);
    return from + ATTRIBUTE_HEADER_BYTES;
  }

  #expression(data: Buffer, from: number, to: number): void {
    let counter = false;
    for (let at = from, end = 0; at < to; at = align(end)) {
      end = attributeEnd(data, at, to);
      this.#layout.header(data, at);
      const payload = at + ATTRIBUTE_HEADER_BYTES;
      const type = attributeType(data, at);
      if (type === EXPRESSION.NAME) this.#layout.words(data, payload, end);
      if (type === EXPRESSION.NAME) counter = data.compare(COUNTER_NAME, 0, COUNTER_NAME.length, payload, end) === 0;
      else if (type === EXPRESSION.DATA && counter) {
        this.#seen.counter = counterAt(data, payload, end);
        this.#seen.mark |= MARK.COUNTER;
        this.#layout.header(data, payload);
        this.#layout.header(data, payload + ATTRIBUTE_HEADER_BYTES + 8);
      }
    }
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
      if (userdata[at] === 0) {
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
    let slot = hash(data, key, this.#keyBytes, mark & MARK.INTERVAL_END) & mask;
    for (let found = this.#slots[slot] as number; found !== 0; found = this.#slots[slot] as number) {
      if (this.#same(data, found - 1)) {
        this.#repeated++;
        return found - 1;
      }
      slot = (slot + 1) & mask;
    }
    const place = this.#count++;
    this.#slots[slot] = place + 1;
    copyBytes(data, key, this.#keys, place * this.#keyBytes, this.#keyBytes);
    // Without an upper bound of its own an element is one value.
    if (keyEnd !== 0 && this.#keyEnds.length === 0) this.#keyEnds = this.#keys.slice();
    if (this.#keyEnds.length > 0) copyBytes(data, keyEnd || key, this.#keyEnds, place * this.#keyBytes, this.#keyBytes);
    return place;
  }

  #same(data: Buffer, place: number): boolean {
    const { key, keyEnd, mark } = this.#seen;
    if (((this.#marks[place] as number) & MARK.INTERVAL_END) !== (mark & MARK.INTERVAL_END)) return false;
    const at = place * this.#keyBytes;
    if (!equalBytes(data, key, this.#keys, at, this.#keyBytes)) return false;
    return this.#keyEnds.length === 0 || equalBytes(data, keyEnd || key, this.#keyEnds, at, this.#keyBytes);
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#marks.length * 2);
    this.#keys = enlarged(this.#keys, new Uint8Array(capacity * this.#keyBytes));
    if (this.#keyEnds.length > 0) this.#keyEnds = enlarged(this.#keyEnds, new Uint8Array(capacity * this.#keyBytes));
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
      let slot = hash(this.#keys, place * this.#keyBytes, this.#keyBytes, end) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = place + 1;
    }
  }

  /**
   * Starts of intervals in key order, each with its last value: the one before the next element's. An end without a
   * start is the mark that nft puts before the first interval; a start without an end reaches the top.
   */
  #starts(): { readonly places: number[]; readonly ends: Uint8Array } {
    const bytes = this.#keyBytes;
    const keys = Buffer.from(this.#keys.buffer, this.#keys.byteOffset, this.#keys.length);
    const isEnd = (place: number) => (this.#marks[place] as number) & MARK.INTERVAL_END;
    const sorted = Array.from({ length: this.#count }, (_, place) => place).sort(
      (a, b) => keys.compare(keys, b * bytes, (b + 1) * bytes, a * bytes, (a + 1) * bytes) || isEnd(b) - isEnd(a),
    );
    const places = sorted.filter((place) => isEnd(place) === 0);
    const ends = new Uint8Array(places.length * bytes);
    let start = 0;
    sorted.forEach((place, index) => {
      if (isEnd(place) !== 0) return;
      const next = sorted[index + 1];
      const at = start++ * bytes;
      if (next === undefined) ends.fill(0xff, at, at + bytes);
      else {
        copyBytes(keys, next * bytes, ends, at, bytes);
        decrement(ends, at, bytes);
      }
    });
    return { places, ends };
  }
}

/** The headers of an element: the next one mostly has the same, and needs no second look then. */
class ElementLayout {
  #bytes = -1;
  #from = 0;
  /** Offset in the element and word, one after the other. */
  #checks: number[] = [];

  begin(from: number, to: number): void {
    this.#from = from;
    this.#bytes = to - from;
    this.#checks = [];
  }

  forget(): void {
    this.#bytes = -1;
  }

  header(data: Buffer, at: number): void {
    this.#checks.push(at - this.#from, data.readInt32LE(at));
  }

  /** Text that must be the same. */
  words(data: Buffer, from: number, to: number): void {
    for (let at = from; at + 4 <= to; at += 4) this.header(data, at);
    if (((to - from) & 3) !== 0) this.forget();
  }

  matches(data: Buffer, from: number, to: number): boolean {
    if (to - from !== this.#bytes) return false;
    const checks = this.#checks;
    for (let index = 0; index < checks.length; index += 2) {
      const at = from + (checks[index] as number);
      const word =
        (data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24);
      if (word !== checks[index + 1]) return false;
    }
    return true;
  }
}

/** Element `index` of the columns, as `readElements` would have given it. For tests and small sets. */
export function unpackElement(packed: PackedElements, index: number): WireElement {
  const { keyBytes, keys, keyEnds, marks, timeouts, expiries, counters, comments } = packed;
  const at = index * keyBytes;
  const comment = comments.get(index);
  const timeoutMs = timeouts[index] as number;
  const expiresMs = expiries[index] as number;
  return {
    key: keys.slice(at, at + keyBytes),
    ...(keyEnds.length === 0 ? {} : { keyEnd: keyEnds.slice(at, at + keyBytes) }),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
    ...(expiresMs === 0 ? {} : { expiresMs }),
    ...(comment === undefined ? {} : { comment }),
    ...(((marks[index] as number) & MARK.COUNTER) === 0 ? {} : { counter: unpackCounter(counters, index) }),
  };
}

/** The counter of element `index`. */
export function unpackCounter(counters: Uint32Array, index: number): { packets: bigint; bytes: bigint } {
  const at = index * COUNTER_WORDS;
  return { packets: joined(counters, at), bytes: joined(counters, at + 2) };
}

function joined(words: Uint32Array, at: number): bigint {
  const high = words[at] as number;
  const low = words[at + 1] as number;
  return high < 0x20_0000 ? BigInt(high * 0x1_0000_0000 + low) : (BigInt(high) << 32n) | BigInt(low);
}

/** Where a counter's payload lies: BYTES, then PACKETS, as every kernel writes them. */
function counterAt(data: Buffer, from: number, to: number): number {
  const packets = from + ATTRIBUTE_HEADER_BYTES + 8;
  const whole = to - from >= 2 * (ATTRIBUTE_HEADER_BYTES + 8);
  if (!whole || attributeType(data, from) !== COUNTER.BYTES || attributeType(data, packets) !== COUNTER.PACKETS) {
    throw malformed('counter without its numbers', from);
  }
  return from + ATTRIBUTE_HEADER_BYTES;
}

function eightBytes(from: number, end: number): number {
  if (end - from !== 8) throw malformed(`64-bit number of ${end - from} bytes`, from);
  return from;
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

function decrement(bytes: Uint8Array, at: number, length: number): void {
  for (let index = at + length - 1; index >= at; index--) {
    const byte = bytes[index] as number;
    bytes[index] = (byte - 1) & 0xff;
    if (byte !== 0) return;
  }
}

type Column = Uint8Array | Uint32Array | Float64Array;

function enlarged<T extends Column>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** The column's first `count` values, or those at `places`; `width` array elements each. */
function picked<T extends Column>(column: T, width: number, count: number, places: readonly number[] | undefined): T {
  if (places === undefined || count === 0) return column.slice(0, count * width) as T;
  const result = column.slice(0, count * width) as T;
  places.forEach((place, index) => {
    for (let part = 0; part < width; part++) result[index * width + part] = column[place * width + part] as number;
  });
  return result;
}

function renumbered(comments: ReadonlyMap<number, string>, places: readonly number[]): Map<number, string> {
  const found = new Map<number, string>();
  places.forEach((place, index) => {
    const comment = comments.get(place);
    if (comment !== undefined) found.set(index, comment);
  });
  return found;
}
