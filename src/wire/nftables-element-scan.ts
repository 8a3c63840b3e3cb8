/**
 * Where the attributes of an element lie in a datagram: the same as `readElements` reads (nftables-elements.ts), found
 * without building anything, and found again without looking while one element is laid out like the one before.
 */

import { ATTRIBUTE_HEADER_BYTES, align, attributeEnd, attributeType, malformed } from './netlink.js';
import { ELEM, INTERVAL_END } from './nftables-elements.js';
import { COUNTER, EXPRESSION } from './nftables-expressions.js';
import { MARK } from './nftables-packed-elements.js';

const COUNTER_NAME = Buffer.from('counter\0');

/** Places in the datagram, 0 for none; `keyBytes` of the set's keys, 0 until one was this. */
export class ElementScan {
  key = 0;
  keyEnd = 0;
  timeout = 0;
  expiry = 0;
  counter = 0;
  userdata = 0;
  userdataEnd = 0;
  /** Bits of MARK. */
  mark = 0;
  keyBytes = 0;
  #from = 0;
  readonly #layout = new ElementLayout();

  /** Looks at the attributes between `from` and `to`. @throws PosternError `kernel` when they are malformed. */
  look(data: Buffer, from: number, to: number): void {
    if (this.#layout.matches(data, from, to)) this.#move(from);
    else this.#lookAt(data, from, to);
  }

  #lookAt(data: Buffer, from: number, to: number): void {
    this.key = this.keyEnd = this.timeout = this.expiry = this.counter = this.userdata = this.mark = 0;
    this.#from = from;
    this.#layout.begin(from, to);
    for (let at = from, end = 0; at < to; at = align(end)) {
      end = attributeEnd(data, at, to);
      this.#layout.header(data, at);
      this.#see(data, attributeType(data, at), at + ATTRIBUTE_HEADER_BYTES, end);
    }
    // Comments and flags differ where headers don't.
    if (this.userdata !== 0 || this.mark & MARK.INTERVAL_END) this.#layout.forget();
  }

  /** An element that looks like the last one has everything in the same places. */
  #move(from: number): void {
    const by = from - this.#from;
    this.#from = from;
    this.key += by;
    if (this.keyEnd !== 0) this.keyEnd += by;
    if (this.timeout !== 0) this.timeout += by;
    if (this.expiry !== 0) this.expiry += by;
    if (this.counter !== 0) this.counter += by;
  }

  #see(data: Buffer, type: number, from: number, end: number): void {
    switch (type) {
      case ELEM.KEY:
        this.key = this.#value(data, from, end);
        break;
      case ELEM.KEY_END:
        this.keyEnd = this.#value(data, from, end);
        break;
      case ELEM.FLAGS:
        if (end - from === 4 && ((data[from + 3] as number) & INTERVAL_END) !== 0) this.mark |= MARK.INTERVAL_END;
        break;
      case ELEM.TIMEOUT:
        this.timeout = eightBytes(from, end);
        break;
      case ELEM.EXPIRATION:
        this.expiry = eightBytes(from, end);
        break;
      case ELEM.USERDATA:
        this.userdata = from;
        this.userdataEnd = end;
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
    if (this.keyBytes === 0) this.keyBytes = bytes;
    if (bytes !== this.keyBytes || bytes === 0) throw malformed(`key of ${bytes} bytes`, from);
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
        this.counter = counterAt(data, payload, end);
        this.mark |= MARK.COUNTER;
        this.#layout.header(data, payload);
        this.#layout.header(data, payload + ATTRIBUTE_HEADER_BYTES + 8);
      }
    }
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
