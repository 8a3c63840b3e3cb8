/** Notices that somebody else changed what is ours, and has it put right. */

import type { Drift, DriftWatcher, Kernel, SetIndex } from '../kernel/kernel.js';
import type { Clock } from './clock.js';

/** What was found to be different, over several transactions. */
export interface Found {
  /** For people: who did what. */
  readonly reasons: readonly string[];
  /** Sets whose elements were changed. */
  readonly sets: ReadonlySet<SetIndex>;
  /** Something other than elements may be different. */
  readonly structure: boolean;
}

export interface DriftWatchOptions {
  readonly kernel: Pick<Kernel, 'watch'>;
  readonly clock: Clock;
  readonly found: (found: Found) => void;
  /** Puts everything right. Runs one at a time. */
  readonly repair: (found: Found) => Promise<void>;
  readonly repaired: (found: Found, repairMs: number) => void;
  readonly failed: (found: Found, error: unknown) => void;
}

/** Changes often come as several transactions; nobody needs to see a repair in between. */
const gatherMs = 50;
/** After a failure the next attempt waits twice as long as the last one, up to the longest. */
const firstRetryMs = 1_000;
const longestRetryMs = 60_000;
/** Reasons that are told; more say nothing new. */
const reasonsMost = 20;

export class DriftWatch {
  #unwatch: (() => void) | undefined;
  #pending: Found | undefined;
  #since = 0;
  #cancel: (() => void) | undefined;
  #repairing: Promise<void> | undefined;
  #retryMs = firstRetryMs;
  #stopped = false;

  constructor(private readonly options: DriftWatchOptions) {}

  /** @throws PosternError `system` */
  start(): void {
    const watcher: DriftWatcher = {
      changed: (drift) => this.#find(foundIn(drift)),
      resync: (reason) => this.#find({ reasons: [reason], sets: new Set(), structure: true }),
    };
    this.#unwatch = this.options.kernel.watch(watcher);
  }

  /** Something was found by other means than the kernel's events. */
  note(found: Found): void {
    this.#find(found);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    this.#unwatch?.();
    await this.#repairing;
  }

  #find(found: Found): void {
    if (this.#stopped) return;
    if (this.#pending === undefined) this.#since = this.options.clock.steady();
    this.#pending = this.#pending === undefined ? found : both(this.#pending, found);
    this.options.found(found);
    if (this.#repairing === undefined && this.#cancel === undefined) this.#schedule(gatherMs);
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    const { clock } = this.options;
    this.#cancel = clock.at(clock.steady() + delayMs, () => {
      this.#cancel = undefined;
      this.#repairing = this.#repair().finally(() => {
        this.#repairing = undefined;
      });
    });
  }

  async #repair(): Promise<void> {
    const { clock, repair, repaired, failed } = this.options;
    const found = this.#pending!;
    const since = this.#since;
    this.#pending = undefined;
    try {
      await repair(found);
      this.#retryMs = firstRetryMs;
      repaired(found, clock.steady() - since);
      if (this.#hasNews()) this.#schedule(gatherMs);
    } catch (error) {
      failed(found, error);
      this.#pending = this.#pending === undefined ? found : both(found, this.#pending);
      this.#since = since;
      this.#schedule(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
    }
  }

  /** Did something come while the repair ran? */
  #hasNews(): boolean {
    return this.#pending !== undefined;
  }
}

function foundIn({ structure, sets, by }: Drift): Found {
  const what = structure ? 'tables, chains, rules, sets or objects' : 'elements';
  return { reasons: [`${by} changed ${what}`], sets: new Set(sets), structure };
}

function both(a: Found, b: Found): Found {
  return {
    reasons: [...new Set([...a.reasons, ...b.reasons])].slice(0, reasonsMost),
    sets: new Set([...a.sets, ...b.sets]),
    structure: a.structure || b.structure,
  };
}
