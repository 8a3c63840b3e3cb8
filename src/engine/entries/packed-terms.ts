/**
 * Terms of entries in rows of numbers: about 50 bytes an entry, where an object with its source takes 180. What comes out
 * may be a new object each time: compare with `sameTerms`.
 */

import { Interned, originKey } from '../../store/interned.js';
import type { Source } from '../tables.js';
import type { Node, NodeValues } from './node-values.js';
import { pageBits, Rows, rowMask } from './rows.js';
import type { Terms } from './terms.js';

/** Says that a node has no terms. */
const noSlot = 0;

/** Places in a row of `times`; a timeout of NaN is none. */
const expiresAt = 0;
const timeoutAt = 1;
const addedAtAt = 2;
const requestAt = 3;
const timesStride = 4;
/** Places in a row of `words`: what is interned, and whether it is an exception. */
const sourceAt = 0;
const commentAt = 1;
const notAt = 2;
const wordsStride = 3;

export class PackedTerms implements NodeValues<Terms> {
  /** By node. */
  #slots = new Rows(Uint32Array);
  /** By slot, as all that follows. */
  #times = new Rows(Float64Array, timesStride);
  #words = new Rows(Uint32Array, wordsStride);
  #sources = new Interned<Source>();
  #comments = new Interned<string>();
  #beneath = new Map<number, Terms>();
  #free: number[] = [];
  #nextSlot = noSlot + 1;
  /** What came out last: entries that were added together are mostly asked for together, and share it. */
  #last: Terms | undefined;

  has(node: Node): boolean {
    return this.#slot(node) !== noSlot;
  }

  get(node: Node): Terms | undefined {
    const slot = this.#slot(node);
    if (slot === noSlot) return undefined;
    const times = this.#times.pages[slot >>> pageBits]!;
    const words = this.#words.pages[slot >>> pageBits]!;
    const time = (slot & rowMask) * timesStride;
    const word = (slot & rowMask) * wordsStride;
    const timeout = times[time + timeoutAt]!;
    const not = words[word + notAt] === 1;
    const expires = times[time + expiresAt]!;
    const timeoutMs = Number.isNaN(timeout) ? undefined : timeout;
    const comment = this.#comments.at(words[word + commentAt]!);
    const source = this.#sources.at(words[word + sourceAt]!)!;
    const addedAt = times[time + addedAtAt]!;
    const request = times[time + requestAt]!;
    const beneath = this.#beneath.size === 0 ? undefined : this.#beneath.get(slot);
    const last = this.#last;
    if (
      last !== undefined &&
      last.request === request &&
      last.expires === expires &&
      last.addedAt === addedAt &&
      last.source === source &&
      last.not === not &&
      last.comment === comment &&
      last.timeoutMs === timeoutMs &&
      last.beneath === beneath
    ) {
      return last;
    }
    // Always all properties: spreading takes ten times as long, and a hundred thousand are read in a row.
    this.#last = { not, expires, timeoutMs, comment, source, addedAt, request, beneath };
    return this.#last;
  }

  set(node: Node, terms: Terms): void {
    let slot = this.#slot(node);
    const isNew = slot === noSlot;
    if (isNew) slot = this.#allocate(node);
    const times = this.#times.pages[slot >>> pageBits]!;
    const time = (slot & rowMask) * timesStride;
    times[time + expiresAt] = terms.expires;
    times[time + timeoutAt] = terms.timeoutMs ?? Number.NaN;
    times[time + addedAtAt] = terms.addedAt;
    times[time + requestAt] = terms.request;
    const words = this.#words.pages[slot >>> pageBits]!;
    const word = (slot & rowMask) * wordsStride;
    if (!isNew) this.#releaseTexts(slot);
    words[word + sourceAt] = this.#sources.use(originKey(terms.source), terms.source);
    words[word + commentAt] = terms.comment === undefined ? 0 : this.#comments.use(terms.comment, terms.comment);
    words[word + notAt] = terms.not ? 1 : 0;
    if (terms.beneath !== undefined) this.#beneath.set(slot, terms.beneath);
    else if (this.#beneath.size > 0) this.#beneath.delete(slot);
  }

  remove(node: Node): void {
    const slot = this.#slot(node);
    if (slot === noSlot) return;
    this.#slots.pages[node >>> pageBits]![node & rowMask] = noSlot;
    this.#releaseTexts(slot);
    this.#beneath.delete(slot);
    this.#free.push(slot);
  }

  copy(): PackedTerms {
    const copy = new PackedTerms();
    copy.#slots = this.#slots.copy();
    copy.#times = this.#times.copy();
    copy.#words = this.#words.copy();
    copy.#sources = this.#sources.copy();
    copy.#comments = this.#comments.copy();
    copy.#beneath = new Map(this.#beneath);
    copy.#free = this.#free.slice();
    copy.#nextSlot = this.#nextSlot;
    return copy;
  }

  #slot(node: Node): number {
    return this.#slots.has(node) ? this.#slots.pages[node >>> pageBits]![node & rowMask]! : noSlot;
  }

  #allocate(node: Node): number {
    const slot = this.#free.pop() ?? this.#nextSlot++;
    this.#times.reserve(slot);
    this.#words.reserve(slot);
    this.#slots.reserve(node);
    this.#slots.pages[node >>> pageBits]![node & rowMask] = slot;
    return slot;
  }

  #releaseTexts(slot: number): void {
    const words = this.#words.pages[slot >>> pageBits]!;
    const word = (slot & rowMask) * wordsStride;
    this.#sources.release(words[word + sourceAt]!);
    this.#comments.release(words[word + commentAt]!);
  }
}
