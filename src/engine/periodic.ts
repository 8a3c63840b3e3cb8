/** Does something again and again, never twice at a time, and the less often the longer it takes. */

import type { Clock } from './clock.js';

/** At most this part of the time is spent on it. */
const share = 1 / 20;

export class Periodic {
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly everyMs: number,
    private readonly work: () => Promise<void>,
    private readonly trouble: (error: unknown) => void,
    /** However long it takes. */
    private readonly longestWaitMs = Number.POSITIVE_INFINITY,
  ) {}

  start(): void {
    this.#wait(this.everyMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
  }

  #wait(ms: number): void {
    if (this.#stopped) return;
    this.#cancel = this.clock.at(this.clock.steady() + ms, () => {
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    const startedAt = this.clock.steady();
    await this.work().catch(this.trouble);
    const rest = (this.clock.steady() - startedAt) / share;
    this.#wait(Math.min(Math.max(this.everyMs, rest), this.longestWaitMs));
  }
}
