/**
 * Stamps that follow the wall clock and never go back (a hybrid logical clock). Microseconds, because one writer may
 * change a thousand things in a millisecond: stamps of whole milliseconds would run ahead of the wall clock then.
 */

import type { Stamp } from './register.js';

export type Stamps = (count?: number) => Stamp;

export class HybridClock {
  #last: Stamp = 0;

  constructor(private readonly wallMs: () => number) {}

  /** A stamp later than every one given or witnessed before. */
  next(): Stamp {
    return this.now()();
  }

  /**
   * Stamps of one change: the wall clock is read for all of them together. Answers the first of as many as are asked for,
   * which follow each other.
   */
  now(): Stamps {
    const wallUs = this.wallMs() * 1000;
    return (count = 1) => {
      const first = Math.max(wallUs, this.#last + 1);
      this.#last = first + count - 1;
      return first;
    };
  }

  /** Notes a stamp that came from elsewhere, so that our next word about the same thing wins. */
  witness(stamp: Stamp): void {
    if (stamp > this.#last) this.#last = stamp;
  }

  get last(): Stamp {
    return this.#last;
  }
}
