/** What expires when: nodes by tick, the earliest tick first. Moving a node to another time costs the same however many there are. */

import type { Node } from './trie.js';

/** Entries leave the model within this time after they expire; the kernel is exact by itself. */
export const tickMs = 100;

export class Calendar {
  /** null: nothing is left at the tick, which stays in the heap until it comes up. */
  readonly #ticks = new Map<number, Set<Node> | null>();
  /** A binary heap of the ticks. */
  readonly #heap: number[] = [];

  /** @param at when, on the steady clock; Infinity is not noted. */
  add(node: Node, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return;
    const tick = Math.ceil(at / tickMs);
    const nodes = this.#ticks.get(tick);
    if (nodes) {
      nodes.add(node);
      return;
    }
    this.#ticks.set(tick, new Set([node]));
    if (nodes === undefined) this.#push(tick);
  }

  /** @param at the time it was added with */
  remove(node: Node, at: number): void {
    const tick = Math.ceil(at / tickMs);
    const nodes = this.#ticks.get(tick);
    if (nodes?.delete(node) && nodes.size === 0) this.#ticks.set(tick, null);
  }

  clear(): void {
    this.#ticks.clear();
    this.#heap.length = 0;
  }

  /** When the next tick is due, on the steady clock; Infinity when nothing expires. */
  next(): number {
    this.#dropEmpty();
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]! * tickMs;
  }

  /** Takes out at most `limit` nodes whose tick is due. */
  take(now: number, limit: number): Node[] {
    const due: Node[] = [];
    while (due.length < limit && this.next() <= now) {
      const nodes = this.#ticks.get(this.#heap[0]!)!;
      for (const node of nodes) {
        if (due.length === limit) return due;
        nodes.delete(node);
        due.push(node);
      }
      this.#ticks.set(this.#heap[0]!, null);
    }
    return due;
  }

  #dropEmpty(): void {
    while (this.#heap.length > 0 && this.#ticks.get(this.#heap[0]!) === null) {
      this.#ticks.delete(this.#heap[0]!);
      this.#pop();
    }
  }

  #push(tick: number): void {
    const heap = this.#heap;
    let at = heap.push(tick) - 1;
    for (let above = (at - 1) >> 1; at > 0 && heap[above]! > tick; above = (at - 1) >> 1) {
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = tick;
  }

  #pop(): void {
    const heap = this.#heap;
    const tick = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && heap[below + 1]! < heap[below]!) below++;
      if (heap[below]! >= tick) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = tick;
  }
}
