/**
 * What expires when: a binary heap of nodes in arrays of numbers, the earliest first, that knows where each node stands.
 * About 30 bytes a node, however many expire at different moments.
 */

import type { Node } from './node-values.js';
import { pageBits, Rows, rowMask } from './rows.js';

/** Entries leave the model within this time after they expire; the kernel is exact by itself. */
export const tickMs = 100;

export class Calendar {
  #size = 0;
  /** By place in the heap. */
  readonly #ticks = new Rows(Float64Array);
  readonly #nodes = new Rows(Uint32Array);
  /** By node: its place and one; 0 when it isn't in the heap. */
  readonly #places = new Rows(Uint32Array);

  /** @param at when, on the steady clock; Infinity is not noted. */
  add(node: Node, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return;
    this.#ticks.reserve(this.#size);
    this.#nodes.reserve(this.#size);
    this.#places.reserve(node);
    this.#up(this.#size++, Math.ceil(at / tickMs), node);
  }

  /** Nothing happens when it isn't noted. */
  remove(node: Node): void {
    const place = this.#places.has(node) ? this.#places.pages[node >>> pageBits]![node & rowMask]! - 1 : -1;
    if (place < 0) return;
    this.#places.pages[node >>> pageBits]![node & rowMask] = 0;
    this.#size--;
    if (place === this.#size) return;
    const [tick, last] = [this.#tick(this.#size), this.#node(this.#size)];
    if (place > 0 && this.#tick((place - 1) >> 1) > tick) this.#up(place, tick, last);
    else this.#down(place, tick, last);
  }

  /** When the next tick is due, on the steady clock; Infinity when nothing expires. */
  next(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#tick(0) * tickMs;
  }

  /** Takes out at most `limit` nodes whose tick is due. */
  take(now: number, limit: number): Node[] {
    const due: Node[] = [];
    while (due.length < limit && this.next() <= now) {
      const node = this.#node(0);
      this.remove(node);
      due.push(node);
    }
    return due;
  }

  /** Puts a node at the place or above. */
  #up(start: number, tick: number, node: Node): void {
    let place = start;
    for (let above = (place - 1) >> 1; place > 0 && this.#tick(above) > tick; above = (place - 1) >> 1) {
      this.#put(place, this.#tick(above), this.#node(above));
      place = above;
    }
    this.#put(place, tick, node);
  }

  /** Puts a node at the place or below. */
  #down(start: number, tick: number, node: Node): void {
    let place = start;
    for (let below = 2 * place + 1; below < this.#size; below = 2 * place + 1) {
      if (below + 1 < this.#size && this.#tick(below + 1) < this.#tick(below)) below++;
      if (this.#tick(below) >= tick) break;
      this.#put(place, this.#tick(below), this.#node(below));
      place = below;
    }
    this.#put(place, tick, node);
  }

  #put(place: number, tick: number, node: Node): void {
    this.#ticks.pages[place >>> pageBits]![place & rowMask] = tick;
    this.#nodes.pages[place >>> pageBits]![place & rowMask] = node;
    this.#places.pages[node >>> pageBits]![node & rowMask] = place + 1;
  }

  #tick(place: number): number {
    return this.#ticks.pages[place >>> pageBits]![place & rowMask]!;
  }

  #node(place: number): Node {
    return this.#nodes.pages[place >>> pageBits]![place & rowMask]!;
  }
}
