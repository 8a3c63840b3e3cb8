/** Lets entries go when their time has come: one timer for all tables, set for the earliest. */

import type { Clock } from './clock.js';
import type { LiveTable } from './entries/live-table.js';

export interface ExpiryOptions {
  readonly clock: Clock;
  readonly tables: ReadonlyMap<string, LiveTable>;
  /** Drops what has expired of a table. */
  readonly expire: (table: LiveTable) => Promise<void>;
  readonly trouble: (error: unknown) => void;
}

/** After a failure. */
const againMs = 1_000;

export class Expiry {
  #at = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #failed = false;

  constructor(private readonly options: ExpiryOptions) {}

  /** A table has changed: something may expire earlier than was known. */
  consider(table: LiveTable): void {
    this.#arm(table.nextExpiry());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
  }

  #arm(at: number): void {
    if (this.#stopped || this.#running !== undefined || at >= this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.options.clock.at(at, () => {
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        this.#at = Number.POSITIVE_INFINITY;
        this.#arm(this.#next());
      });
    });
  }

  #next(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const table of this.options.tables.values()) next = Math.min(next, table.nextExpiry());
    // What a failure has left is due already.
    return this.#failed ? Math.max(next, this.options.clock.steady() + againMs) : next;
  }

  async #run(): Promise<void> {
    this.#failed = false;
    for (const table of [...this.options.tables.values()]) {
      if (table.nextExpiry() > this.options.clock.steady()) continue;
      try {
        await this.options.expire(table);
      } catch (error) {
        this.#failed = true;
        this.options.trouble(error);
      }
    }
  }
}
