/** What the nodes of a trie stand for. */

import { Numbered } from './numbered.js';
import { pageBits, Rows, rowMask } from './rows.js';

/** The index of a node's record. Stays the same as long as the entry is there. */
export type Node = number;

/** What belongs to each node that is an entry. */
export interface NodeValues<T> {
  has(node: Node): boolean;
  get(node: Node): T | undefined;
  set(node: Node, value: T): void;
  remove(node: Node): void;
  /** The same values, independent from now on. */
  copy(): NodeValues<T>;
}

/** Values as they are. */
export class NodeArray<T> implements NodeValues<T> {
  constructor(private values: (T | undefined)[] = []) {}

  has(node: Node): boolean {
    return this.values[node] !== undefined;
  }

  get(node: Node): T | undefined {
    return this.values[node];
  }

  set(node: Node, value: T): void {
    while (this.values.length < node) this.values.push(undefined);
    this.values[node] = value;
  }

  remove(node: Node): void {
    this.values[node] = undefined;
  }

  copy(): NodeArray<T> {
    return new NodeArray(this.values.slice());
  }
}

/** Values of which many nodes share each: four bytes a node. */
export class SharedValues<T extends object> implements NodeValues<T> {
  constructor(
    private readonly numbers = new Rows(Uint32Array),
    private readonly values = new Numbered<T>(),
  ) {}

  has(node: Node): boolean {
    return this.#number(node) !== 0;
  }

  get(node: Node): T | undefined {
    return this.values.at(this.#number(node));
  }

  set(node: Node, value: T): void {
    this.numbers.reserve(node);
    this.numbers.pages[node >>> pageBits]![node & rowMask] = this.values.numberOf(value);
  }

  remove(node: Node): void {
    if (this.numbers.has(node)) this.numbers.pages[node >>> pageBits]![node & rowMask] = 0;
  }

  copy(): SharedValues<T> {
    // Numbers once given out never change.
    return new SharedValues(this.numbers.copy(), this.values);
  }

  #number(node: Node): number {
    return this.numbers.has(node) ? this.numbers.pages[node >>> pageBits]![node & rowMask]! : 0;
  }
}
