import type { Clock } from '../../src/engine/clock.js';

/** Time that stands still until a test lets it go by. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #wallMinusSteady = 1_700_000_000_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  steady(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallMinusSteady;
  }

  at(at: number, call: () => void): () => void {
    const timer = { at, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Sets the wall clock; what is steady goes on. */
  step(ms: number): void {
    this.#wallMinusSteady += ms;
  }

  /** Lets time go by, timer by timer, each with what it sets off. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.call();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}
