/** Tables that the kernel may not hold as they are, because a change failed: they are compared soon, but not all the time. */

import type { Clock } from './clock.js';
import type { LiveTable } from './entries/live-table.js';

export interface DoubtsOptions {
  readonly clock: Clock;
  readonly settle: (table: LiveTable) => Promise<unknown>;
  readonly trouble: (error: unknown) => void;
}

/** Failures mostly come together. */
const gatherMs = 100;
/** A table whose changes fail again and again, because others have filled its set, must not stop the other ones. */
const restMs = 10_000;

export class Doubts {
  readonly #waiting = new Map<LiveTable, () => void>();
  readonly #settledAt = new WeakMap<LiveTable, number>();
  readonly #running = new Set<Promise<void>>();

  constructor(private readonly options: DoubtsOptions) {}

  note(table: LiveTable): void {
    if (this.#waiting.has(table)) return;
    const { clock } = this.options;
    const settledAt = this.#settledAt.get(table) ?? Number.NEGATIVE_INFINITY;
    const at = Math.max(clock.steady() + gatherMs, settledAt + restMs);
    this.#waiting.set(
      table,
      clock.at(at, () => this.#settle(table)),
    );
  }

  /** What is still in doubt the next start compares. */
  async stop(): Promise<void> {
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
    await Promise.all(this.#running);
  }

  #settle(table: LiveTable): void {
    const { clock, settle, trouble } = this.options;
    this.#waiting.delete(table);
    const running = settle(table)
      .catch(trouble)
      .then(() => {
        this.#settledAt.set(table, clock.steady());
        this.#running.delete(running);
      });
    this.#running.add(running);
  }
}
