/**
 * Terms of entries in columns: about 60 bytes an entry, where an object with its source takes 180. What comes out is a
 * new object each time: compare with `sameTerms`.
 */

import type { Source } from '../tables.js';
import type { Node, NodeValues } from './node-values.js';
import type { Terms } from './terms.js';

/** Says that a node has no terms. */
const noSlot = 0;
const initialSlots = 16;
/** Of columns that are full. */
const growth = 1.5;

interface Columns {
  readonly expires: Float64Array;
  /** NaN: none. */
  readonly timeoutMs: Float64Array;
  readonly addedAt: Float64Array;
  readonly request: Float64Array;
  /** 1: an exception. */
  readonly not: Uint8Array;
}

export class PackedTerms implements NodeValues<Terms> {
  /** By node. */
  #slots = new Uint32Array(initialSlots);
  /** By slot, as all that follows. */
  #columns = columnsOf(initialSlots);
  #sources: (Source | undefined)[] = [undefined];
  #comments: (string | undefined)[] = [undefined];
  #beneath = new Map<number, Terms>();
  #free: number[] = [];

  has(node: Node): boolean {
    return this.#slot(node) !== noSlot;
  }

  get(node: Node): Terms | undefined {
    const slot = this.#slot(node);
    if (slot === noSlot) return undefined;
    const { expires, timeoutMs, addedAt, request, not } = this.#columns;
    const timeout = timeoutMs[slot]!;
    const comment = this.#comments[slot];
    const beneath = this.#beneath.get(slot);
    return {
      not: not[slot] === 1,
      expires: expires[slot]!,
      ...(!Number.isNaN(timeout) && { timeoutMs: timeout }),
      ...(comment !== undefined && { comment }),
      source: this.#sources[slot]!,
      addedAt: addedAt[slot]!,
      request: request[slot]!,
      ...(beneath !== undefined && { beneath }),
    };
  }

  set(node: Node, terms: Terms): void {
    let slot = this.#slot(node);
    if (slot === noSlot) {
      slot = this.#allocate();
      if (node >= this.#slots.length) this.#slots = longer(this.#slots, node);
      this.#slots[node] = slot;
    }
    const { expires, timeoutMs, addedAt, request, not } = this.#columns;
    expires[slot] = terms.expires;
    timeoutMs[slot] = terms.timeoutMs ?? Number.NaN;
    addedAt[slot] = terms.addedAt;
    request[slot] = terms.request;
    not[slot] = terms.not ? 1 : 0;
    this.#sources[slot] = sharedSource(terms.source);
    this.#comments[slot] = terms.comment;
    if (terms.beneath !== undefined) this.#beneath.set(slot, terms.beneath);
    else this.#beneath.delete(slot);
  }

  remove(node: Node): void {
    const slot = this.#slot(node);
    if (slot === noSlot) return;
    this.#slots[node] = noSlot;
    this.#sources[slot] = undefined;
    this.#comments[slot] = undefined;
    this.#beneath.delete(slot);
    this.#free.push(slot);
  }

  copy(): PackedTerms {
    const copy = new PackedTerms();
    copy.#slots = this.#slots.slice();
    copy.#columns = columnsOf(this.#columns.not.length, this.#columns);
    copy.#sources = this.#sources.slice();
    copy.#comments = this.#comments.slice();
    copy.#beneath = new Map(this.#beneath);
    copy.#free = this.#free.slice();
    return copy;
  }

  #slot(node: Node): number {
    if (node < this.#slots.length) return this.#slots[node]!;
    return noSlot;
  }

  #allocate(): number {
    const slot = this.#free.pop() ?? this.#sources.push(undefined) - 1;
    if (slot === this.#columns.not.length) this.#columns = columnsOf(Math.ceil(slot * growth), this.#columns);
    return slot;
  }
}

/** With room for the node. */
function longer(slots: Uint32Array<ArrayBuffer>, node: Node): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(Math.ceil((node + 1) * growth));
  longer.set(slots);
  return longer;
}

function columnsOf(length: number, from?: Columns): Columns {
  const column = <T extends Float64Array | Uint8Array>(to: T, old: T | undefined): T => {
    if (old !== undefined) to.set(old);
    return to;
  };
  return {
    expires: column(new Float64Array(length), from?.expires),
    timeoutMs: column(new Float64Array(length), from?.timeoutMs),
    addedAt: column(new Float64Array(length), from?.addedAt),
    request: column(new Float64Array(length), from?.request),
    not: column(new Uint8Array(length), from?.not),
  };
}

/** Sources by kind and id; those that are used again and again are one object. */
const sources = new Map<string, Source>();
const maxSources = 10_000;
/** Entries that come together have one source. */
let lastSource: { readonly given: Source; readonly shared: Source } | undefined;

function sharedSource(source: Source): Source {
  if (lastSource?.given === source) return lastSource.shared;
  const shared = knownSource(source);
  lastSource = { given: source, shared };
  return shared;
}

function knownSource(source: Source): Source {
  const key = `${source.kind} ${source.id}`;
  const known = sources.get(key);
  if (known !== undefined) return known;
  if (sources.size >= maxSources) sources.clear();
  sources.set(key, source);
  return source;
}
