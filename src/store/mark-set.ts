/** Marks of signed messages, packed: 16 bytes each in a hash set, one set for each quarter of a minute of expiry. */

import { markBytes } from './register-codec.js';
import { hashWords } from './word-hash.js';

const spanMs = 15_000;
const words = markBytes / 4;

/** A set of 16-byte marks with open addressing. */
class Bucket {
  #slots = new Uint32Array(64 * words);
  size = 0;
  keepUntilSteadyMs = 0;

  /** False when it was there. */
  add(mark: Uint32Array): boolean {
    if (this.size * 10 >= (this.#slots.length / words) * 7) this.#grow();
    if (!this.#place(mark, 0)) return false;
    this.size++;
    return true;
  }

  has(mark: Uint32Array): boolean {
    const slots = this.#slots;
    const mask = slots.length / words - 1;
    for (let slot = hashWords(mark, 0) & mask; !isEmpty(slots, slot); slot = (slot + 1) & mask) {
      if (isSame(slots, slot, mark, 0)) return true;
    }
    return false;
  }

  *marks(): Generator<Buffer> {
    for (let slot = 0; slot < this.#slots.length / words; slot++) {
      if (!isEmpty(this.#slots, slot)) yield bytesOf(this.#slots.subarray(slot * words, (slot + 1) * words));
    }
  }

  #place(source: Uint32Array, from: number): boolean {
    const mask = this.#slots.length / words - 1;
    let slot = hashWords(source, from) & mask;
    while (!isEmpty(this.#slots, slot)) {
      if (isSame(this.#slots, slot, source, from)) return false;
      slot = (slot + 1) & mask;
    }
    for (let i = 0; i < words; i++) this.#slots[slot * words + i] = source[from + i]!;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let slot = 0; slot < old.length / words; slot++) if (!isEmpty(old, slot)) this.#place(old, slot * words);
  }
}

export class MarkSet {
  readonly #buckets = new Map<number, Bucket>();
  readonly #mark = new Uint32Array(words);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /**
   * Remembers a mark; false when it is remembered already.
   * @param keepUntilSteadyMs kept until then on the steady clock as well, so that a wall clock that is put forward and back forgets nothing
   */
  add(mark: Uint8Array, expiresAt: number, keepUntilSteadyMs: number): boolean {
    this.#read(mark);
    const span = Math.floor(expiresAt / spanMs);
    for (const [other, bucket] of this.#buckets) if (other !== span && bucket.has(this.#mark)) return false;
    let bucket = this.#buckets.get(span);
    if (bucket === undefined) {
      bucket = new Bucket();
      this.#buckets.set(span, bucket);
    }
    bucket.keepUntilSteadyMs = Math.max(bucket.keepUntilSteadyMs, keepUntilSteadyMs);
    if (!bucket.add(this.#mark)) return false;
    this.#size++;
    return true;
  }

  /** Forgets what expired on both clocks, up to a quarter of a minute late. */
  expire(wallMs: number, steadyMs: number): void {
    for (const [span, bucket] of this.#buckets) {
      if ((span + 1) * spanMs > wallMs || bucket.keepUntilSteadyMs > steadyMs) continue;
      this.#size -= bucket.size;
      this.#buckets.delete(span);
    }
  }

  /** Each mark with an expiry not before its own. */
  *marks(): Generator<readonly [mark: Uint8Array, expiresAt: number]> {
    for (const [span, bucket] of this.#buckets) {
      for (const mark of bucket.marks()) yield [mark, (span + 1) * spanMs - 1];
    }
  }

  /** All zeros stands for an empty slot, so that mark is kept as 1. */
  #read(mark: Uint8Array): void {
    const view = new DataView(mark.buffer, mark.byteOffset, markBytes);
    for (let i = 0; i < words; i++) this.#mark[i] = view.getUint32(i * 4);
    if (isEmpty(this.#mark, 0)) this.#mark[words - 1] = 1;
  }
}

function isEmpty(slots: Uint32Array, slot: number): boolean {
  const at = slot * words;
  return slots[at] === 0 && slots[at + 1] === 0 && slots[at + 2] === 0 && slots[at + 3] === 0;
}

function isSame(slots: Uint32Array, slot: number, other: Uint32Array, from: number): boolean {
  for (let i = 0; i < words; i++) if (slots[slot * words + i] !== other[from + i]) return false;
  return true;
}

function bytesOf(mark: Uint32Array): Buffer {
  const bytes = Buffer.allocUnsafe(markBytes);
  for (let i = 0; i < words; i++) bytes.writeUInt32BE(mark[i]!, i * 4);
  return bytes;
}
