/**
 * Stamps that follow the wall clock and never go back (a hybrid logical clock). Microseconds, because one writer may
 * change a thousand things in a millisecond: stamps of whole milliseconds would run ahead of the wall clock then.
 */

import type { Stamp } from './register.js';

export class HybridClock {
  #last: Stamp = 0;

  constructor(private readonly wallMs: () => number) {}

  /** A stamp later than every one given or witnessed before. */
  next(): Stamp {
    return this.now()();
  }

  /** Stamps of one change, as many as are asked for at once: the wall clock is read for all of them together. */
  now(): () => Stamp {
    const wallUs = this.wallMs() * 1000;
    return () => {
      this.#last = Math.max(wallUs, this.#last + 1);
      return this.#last;
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
