/** What a dump answers, made into a set's contents: without duplicates, intervals joined. Pure. */

import type { WireElement } from '../wire/nftables-elements.js';
import { predecessor, type SetTarget } from './element-batch.js';
import type { ElementState } from './kernel.js';

/** Collects elements as they come. Dumps repeat elements when the set changes meanwhile. */
export class ElementList {
  readonly #found = new Map<string, WireElement>();
  readonly #generations = new Set<number>();
  #repeated = 0;

  constructor(
    private readonly target: SetTarget,
    /** Each reading zeroed the counters: a repeated element has counted further, so counts are summed. */
    private readonly reset: boolean,
  ) {}

  /** Takes one message's elements; answers how many were new. */
  take(elements: readonly WireElement[], generation: number): number {
    this.#generations.add(generation);
    const before = this.#found.size;
    for (const element of elements) {
      if (element.key === undefined) continue;
      const id = identity(element);
      const earlier = this.#found.get(id);
      if (earlier !== undefined) this.#repeated++;
      this.#found.set(id, earlier !== undefined && this.reset ? withSummedCounter(element, earlier) : element);
    }
    return this.#found.size - before;
  }

  get size(): number {
    return this.#found.size;
  }

  /** Did the set change while it was listed, so that elements may be missing? The kernel doesn't say so itself. */
  get disturbed(): boolean {
    // Elements that come twice betray a hash table that grew; others are then left out.
    if (this.#repeated > 0) return true;
    return this.target.pairs && this.#generations.size > 1;
  }

  states(): ElementState[] {
    const elements = [...this.#found.values()];
    return this.target.pairs ? joinIntervals(elements) : elements.map((element) => elementState(element));
  }
}

/** What several listings of a set of single elements found together; the later ones are right about an element. */
export function unitedStates(lists: readonly ElementList[]): ElementState[] {
  const united = new Map<string, ElementState>();
  for (const list of lists) {
    for (const state of list.states()) united.set(identity(state), state);
  }
  return [...united.values()];
}

function identity({ key, keyEnd, intervalEnd }: Pick<WireElement, 'key' | 'keyEnd' | 'intervalEnd'>): string {
  const first = latin1(key);
  return keyEnd === undefined ? `${intervalEnd ? '>' : '='}${first}` : `-${first}${latin1(keyEnd)}`;
}

function latin1(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function withSummedCounter(element: WireElement, earlier: WireElement): WireElement {
  if (element.counter === undefined || earlier.counter === undefined) return element;
  return {
    ...element,
    counter: {
      packets: element.counter.packets + earlier.counter.packets,
      bytes: element.counter.bytes + earlier.counter.bytes,
    },
  };
}

/** One element as the engine sees it; `keyEnd` for intervals. */
export function elementState(element: WireElement, keyEnd = element.keyEnd): ElementState {
  const { key, timeoutMs, expiresMs, counter, comment } = element;
  return {
    key: key as Uint8Array,
    ...(keyEnd === undefined ? {} : { keyEnd }),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(expiresMs ? { expiresMs } : {}),
    ...(counter === undefined ? {} : counter),
    ...(comment === undefined ? {} : { comment }),
  };
}

/**
 * Starts and the ends behind them, in key order. An end without a start is the mark that nft puts before the first
 * interval; a start without an end reaches the top.
 */
function joinIntervals(elements: WireElement[]): ElementState[] {
  elements.sort(byKeyEndsFirst);
  const states: ElementState[] = [];
  elements.forEach((element, index) => {
    if (element.intervalEnd || element.key === undefined) return;
    const next = elements[index + 1]?.key;
    const last = next === undefined ? new Uint8Array(element.key.length).fill(0xff) : predecessor(next);
    states.push(elementState(element, last));
  });
  return states;
}

function byKeyEndsFirst(a: WireElement, b: WireElement): number {
  const order = Buffer.compare(a.key as Uint8Array, b.key as Uint8Array);
  return order !== 0 ? order : Number(b.intervalEnd ?? false) - Number(a.intervalEnd ?? false);
}
