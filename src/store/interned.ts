/** What many records share (origins, comments, nodes), each kept once and counted. */

import type { Origin } from './register.js';

export class Interned<T> {
  #ids = new Map<string, number>();
  #keys: string[] = [''];
  #values: (T | undefined)[] = [undefined];
  #uses: number[] = [0];
  #free: number[] = [];
  /** Records that come together mostly share all. */
  #lastKey: string | undefined;
  #lastId = 0;

  /** A number for the value, to be given back with `release`, as often as it is used. 0 stands for none. */
  use(key: string, value: T, times = 1): number {
    if (key !== this.#lastKey) {
      this.#lastId = this.#ids.get(key) ?? this.#add(key, value);
      this.#lastKey = key;
    }
    this.#uses[this.#lastId]! += times;
    return this.#lastId;
  }

  at(id: number): T | undefined {
    return this.#values[id];
  }

  release(id: number): void {
    if (id === 0 || --this.#uses[id]! > 0) return;
    this.#ids.delete(this.#keys[id]!);
    this.#keys[id] = '';
    this.#values[id] = undefined;
    this.#free.push(id);
    if (id === this.#lastId) this.#lastKey = undefined;
  }

  /** The same, independent from now on. */
  copy(): Interned<T> {
    const copy = new Interned<T>();
    copy.#ids = new Map(this.#ids);
    copy.#keys = this.#keys.slice();
    copy.#values = this.#values.slice();
    copy.#uses = this.#uses.slice();
    copy.#free = this.#free.slice();
    return copy;
  }

  #add(key: string, value: T): number {
    const id = this.#free.pop() ?? this.#keys.length;
    this.#ids.set(key, id);
    this.#keys[id] = key;
    this.#values[id] = value;
    this.#uses[id] = 0;
    return id;
  }
}

let last: { readonly origin: Origin; readonly key: string } | undefined;

/** A text that tells an origin from others; the last one is remembered, because records that come together have one. */
export function originKey(origin: Origin): string {
  if (last?.origin !== origin) last = { origin, key: `${origin.kind} ${origin.id}` };
  return last.key;
}
