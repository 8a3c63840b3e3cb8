/**
 * Notices that somebody else changed what is ours, and has it put right. What this process commits over netlink the
 * monitor doesn't tell; what it loads through nft it does, as a transaction of another process: those are known by the
 * generations between which they happened.
 */

import type { ForeignCommit, MonitorReader } from '../kernel/monitor.js';
import type { Clock } from './clock.js';

/** The edge: `openMonitor` and the generation of the kernel's ruleset. */
export interface DriftEdge {
  watch(reader: MonitorReader, watches: (table: string) => boolean): { close(): void };
  /** Counts the transactions of the whole namespace. */
  generation(): Promise<number>;
}

/** What was found to be different. */
export interface Drift {
  /** For people: what happened. */
  readonly reasons: readonly string[];
  /** `family table name` of sets whose elements were changed. */
  readonly sets: ReadonlySet<string>;
  /** Something other than elements. */
  readonly structure: boolean;
  /** Anything may be different: events were lost, or came while we were loading. */
  readonly anything: boolean;
}

export interface DriftWatchOptions {
  readonly edge: DriftEdge;
  readonly clock: Clock;
  /** `family name`: is the table ours? */
  readonly watches: (table: string) => boolean;
  readonly found: (drift: Drift) => void;
  /** Puts everything right. Runs one at a time. */
  readonly repair: (drift: Drift) => Promise<void>;
  readonly repaired: (drift: Drift, repairMs: number) => void;
  readonly failed: (drift: Drift, error: unknown) => void;
}

/** Changes often come as several transactions; nobody needs to see a repair in between. */
const gatherMs = 50;
/** After a failure the next attempt waits twice as long as the last one, up to the longest. */
const firstRetryMs = 1_000;
const longestRetryMs = 60_000;
/** Reasons that are told; more say nothing new. */
const reasonsMost = 20;

export class DriftWatch {
  #monitor: { close(): void } | undefined;
  /** Generations of our own loads: the transaction after `from` up to `to`. */
  #own: { readonly from: number; readonly to: number }[] = [];
  #loading = 0;
  /** Came while we were loading: whose they are is known afterwards. */
  #held: ForeignCommit[] = [];
  #pending: Drift | undefined;
  #since = 0;
  #cancel: (() => void) | undefined;
  #repairing: Promise<void> | undefined;
  #retryMs = firstRetryMs;
  #stopped = false;

  constructor(private readonly options: DriftWatchOptions) {}

  start(): void {
    const reader: MonitorReader = {
      commit: (commit) => this.#commit(commit),
      resync: (reason) => this.#find({ ...nothing, reasons: [reason], anything: true }),
    };
    this.#monitor = this.options.edge.watch(reader, this.options.watches);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    this.#monitor?.close();
    await this.#repairing;
  }

  /** Runs a load of our own: what it does is no drift. */
  async during<T>(load: () => Promise<T>): Promise<T> {
    const from = await this.options.edge.generation();
    this.#loading++;
    try {
      return await load();
    } finally {
      const to = await this.options.edge.generation();
      this.#own = [...this.#own.slice(-8), { from, to }];
      this.#loading--;
      // One transaction is ours; of more, nobody knows in what order they came.
      if (to - from > 1) this.#find({ ...nothing, reasons: ['a change during a load'], anything: true });
      for (const commit of this.#held.splice(0)) this.#commit(commit);
    }
  }

  #commit(commit: ForeignCommit): void {
    if (this.#loading > 0) {
      this.#held.push(commit);
      return;
    }
    if (this.#own.some(({ from, to }) => commit.id > from && commit.id <= to)) return;
    const by = commit.processName === undefined ? 'somebody' : `${commit.processName} (${commit.processId})`;
    this.#find({
      reasons: commit.changes.map(({ op, object, path, count }) => {
        const what = count === 1 ? object : `${count} ${object}s`;
        return `${by} ${op === 'new' ? 'added' : 'deleted'} ${what}: ${path}`;
      }),
      sets: new Set(commit.changes.filter(({ object }) => object === 'element').map(({ path }) => path)),
      structure: commit.changes.some(({ object }) => object !== 'element'),
      anything: false,
    });
  }

  #find(drift: Drift): void {
    if (this.#stopped) return;
    if (this.#pending === undefined) this.#since = this.options.clock.steady();
    this.#pending = this.#pending === undefined ? drift : both(this.#pending, drift);
    this.options.found(drift);
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
    const drift = this.#pending!;
    const since = this.#since;
    this.#pending = undefined;
    try {
      await repair(drift);
      this.#retryMs = firstRetryMs;
      repaired(drift, clock.steady() - since);
      if (this.#pending !== undefined) this.#schedule(gatherMs);
    } catch (error) {
      failed(drift, error);
      this.#pending = this.#pending === undefined ? drift : both(drift, this.#pending);
      this.#since = since;
      this.#schedule(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
    }
  }
}

const nothing: Drift = { reasons: [], sets: new Set(), structure: false, anything: false };

function both(a: Drift, b: Drift): Drift {
  return {
    reasons: [...a.reasons, ...b.reasons].slice(0, reasonsMost),
    sets: new Set([...a.sets, ...b.sets]),
    structure: a.structure || b.structure,
    anything: a.anything || b.anything,
  };
}
