/**
 * What expires when: a binary heap of nodes in arrays of numbers, the earliest first, that knows where each node stands.
 * About 30 bytes a node, however many expire at different moments.
 */

import type { Node } from './node-values.js';

/** Entries leave the model within this time after they expire; the kernel is exact by itself. */
export const tickMs = 100;

const initialNodes = 16;
/** Of arrays that are full. */
const growth = 1.5;

export class Calendar {
  #size = 0;
  /** By place in the heap. */
  #ticks = new Float64Array(initialNodes);
  #nodes = new Uint32Array(initialNodes);
  /** By node: its place and one; 0 when it isn't in the heap. */
  #places = new Uint32Array(initialNodes);

  /** @param at when, on the steady clock; Infinity is not noted. */
  add(node: Node, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return;
    this.#reserve(node);
    this.#up(this.#size++, Math.ceil(at / tickMs), node);
  }

  /** Nothing happens when it isn't noted. */
  remove(node: Node): void {
    const place = (this.#places[node] ?? 0) - 1;
    if (place < 0) return;
    this.#places[node] = 0;
    this.#size--;
    if (place === this.#size) return;
    const [tick, last] = [this.#ticks[this.#size]!, this.#nodes[this.#size]!];
    if (place > 0 && this.#ticks[(place - 1) >> 1]! > tick) this.#up(place, tick, last);
    else this.#down(place, tick, last);
  }

  /** When the next tick is due, on the steady clock; Infinity when nothing expires. */
  next(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#ticks[0]! * tickMs;
  }

  /** Takes out at most `limit` nodes whose tick is due. */
  take(now: number, limit: number): Node[] {
    const due: Node[] = [];
    while (due.length < limit && this.next() <= now) {
      const node = this.#nodes[0]!;
      this.remove(node);
      due.push(node);
    }
    return due;
  }

  /** Puts a node at the place or above. */
  #up(start: number, tick: number, node: Node): void {
    let place = start;
    for (let above = (place - 1) >> 1; place > 0 && this.#ticks[above]! > tick; above = (place - 1) >> 1) {
      this.#put(place, this.#ticks[above]!, this.#nodes[above]!);
      place = above;
    }
    this.#put(place, tick, node);
  }

  /** Puts a node at the place or below. */
  #down(start: number, tick: number, node: Node): void {
    let place = start;
    for (let below = 2 * place + 1; below < this.#size; below = 2 * place + 1) {
      if (below + 1 < this.#size && this.#ticks[below + 1]! < this.#ticks[below]!) below++;
      if (this.#ticks[below]! >= tick) break;
      this.#put(place, this.#ticks[below]!, this.#nodes[below]!);
      place = below;
    }
    this.#put(place, tick, node);
  }

  #put(place: number, tick: number, node: Node): void {
    this.#ticks[place] = tick;
    this.#nodes[place] = node;
    this.#places[node] = place + 1;
  }

  #reserve(node: Node): void {
    if (this.#size === this.#nodes.length) {
      const length = Math.ceil(this.#size * growth);
      this.#ticks = grown(this.#ticks, new Float64Array(length));
      this.#nodes = grown(this.#nodes, new Uint32Array(length));
    }
    if (node >= this.#places.length) {
      this.#places = grown(this.#places, new Uint32Array(Math.ceil((node + 1) * growth)));
    }
  }
}

function grown<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
