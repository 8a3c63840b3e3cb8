/** Takes changes to tables into the kernel and the store: in order, in bounded transactions, all of a request or nothing. */

import { PosternError } from '../errors.js';
import type { Committer } from '../store/committer.js';
import type { Draft } from '../store/store.js';
import type { Clock } from './clock.js';
import type { LiveTable } from './entries/live-table.js';
import { TableChange } from './entries/table-change.js';
import type { Gate } from './gate.js';
import type { Source } from './tables.js';

/** Entries in one transaction: keeps the event loop and the kernel's other writers waiting for milliseconds only. */
export const chunkEntries = 2_000;
/** Larger transactions let smaller ones overtake them. */
const urgentEntries = 64;
/** Transactions of one request that are under way: one is prepared while another is in the kernel. */
const chunksUnderWay = 3;

export interface TableWriterOptions {
  readonly committer: Committer;
  readonly clock: Clock;
  readonly gate: Gate;
  /** The kernel may not hold what the table says, because a change of several that came together has failed. */
  readonly doubt: (table: LiveTable) => void;
  readonly full: (table: LiveTable) => void;
}

export class TableWriter {
  constructor(private readonly options: TableWriterOptions) {}

  /**
   * Makes one request in chunks. When one of them fails, those before it are taken back.
   * @param step changes the table for one item
   * @param drafts what the store is told with the first chunk, in place of each single entry
   * @throws PosternError `full`, `kernel` and what the store throws.
   */
  async perform<T>(
    table: LiveTable,
    source: Source,
    chunks: Iterable<readonly T[]>,
    step: (change: TableChange, item: T) => void,
    drafts?: readonly Draft[],
  ): Promise<void> {
    const made: TableChange[] = [];
    const underWay = new Set<Promise<unknown>>();
    let failure: { readonly error: unknown } | undefined;
    for (const chunk of chunks) {
      if (made.length > 0) await new Promise(setImmediate);
      if (underWay.size >= chunksUnderWay) await Promise.race(underWay);
      if (failure !== undefined) break;
      const own = made.length === 0 ? drafts : drafts && [];
      const writing = this.#chunk(table, source, chunk, step, made, own).catch((error: unknown) => {
        failure ??= { error };
      });
      underWay.add(writing);
      void writing.finally(() => underWay.delete(writing));
    }
    await Promise.all(underWay);
    if (failure === undefined) return;
    await this.#takeBack(made);
    throw failure.error;
  }

  /** One change of a table, told to the kernel and the store. Made where nothing can come between. */
  async write(table: LiveTable, source: Source, make: (change: TableChange) => void): Promise<void> {
    await this.perform(table, source, [[undefined]], make);
  }

  /** Tells the store what was noticed in the kernel. */
  async record(change: TableChange): Promise<void> {
    const drafts = change.drafts(this.toWall);
    if (drafts.length > 0) await this.options.committer.commit(drafts, []);
  }

  /** Drops entries that have expired, in chunks; answers how many. The store knows by itself. */
  async expire(table: LiveTable): Promise<number> {
    const { clock, gate, committer } = this.options;
    for (let expired = 0; ; ) {
      const dropped = await gate.pass(async () => {
        const change = new TableChange(table, { kind: 'policy', id: 'expiry' });
        const count = change.expire(clock.steady(), chunkEntries);
        const elements = change.elements(clock.steady());
        if (elements.length > 0) await committer.commit([], elements, { bulk: elements.length > urgentEntries });
        return count;
      });
      expired += dropped;
      if (dropped < chunkEntries) return expired;
      await new Promise(setImmediate);
    }
  }

  readonly toWall = (steadyMs: number): number | undefined => {
    const { clock } = this.options;
    return steadyMs === Number.POSITIVE_INFINITY ? undefined : Math.round(steadyMs - clock.steady() + clock.wall());
  };

  async #chunk<T>(
    table: LiveTable,
    source: Source,
    chunk: readonly T[],
    step: (change: TableChange, item: T) => void,
    made: TableChange[],
    drafts: readonly Draft[] | undefined,
  ): Promise<void> {
    const { gate, committer, clock } = this.options;
    await gate.pass(async () => {
      const change = new TableChange(table, source);
      for (const item of chunk) step(change, item);
      const full = this.#makeRoom(change);
      if (full === undefined) made.push(change);
      try {
        const written = full ? [] : (drafts ?? change.drafts(this.toWall));
        await committer.commit(written, change.elements(clock.steady()), { bulk: chunk.length > urgentEntries });
      } catch (error) {
        this.options.doubt(table);
        throw error;
      }
      if (full !== undefined) throw full;
    });
  }

  /** When the table is full of what has not expired yet, the change is undone and the error answered. */
  #makeRoom(change: TableChange): PosternError | undefined {
    const { table } = change;
    if (table.overfull() === undefined) return undefined;
    change.expire(this.options.clock.steady(), Number.POSITIVE_INFINITY);
    const excess = table.overfull();
    if (excess === undefined) return undefined;
    change.undo();
    this.options.full(table);
    const { size, origin } = table.plan;
    return new PosternError(
      'full',
      `table ${table.name} is full: it may hold ${size} ${excess.tier} of IPv${excess.family}; ` +
        `delete entries or raise its size in the policy (${origin.file}:${origin.line})`,
      { details: { table: table.name, tier: excess.tier, family: excess.family, size } },
    );
  }

  /** The kernel and the store may have all, some or nothing of it. */
  async #takeBack(made: readonly TableChange[]): Promise<void> {
    const { gate, committer, clock, doubt } = this.options;
    for (const change of made.toReversed()) {
      await gate.pass(async () => {
        const reverse = change.reverse();
        try {
          await committer.commit(reverse.drafts(this.toWall), reverse.elements(clock.steady()), { bulk: true });
        } catch {
          doubt(change.table);
        }
      });
    }
  }
}

/** Cuts a list into chunks of at most `size`. */
export function* inChunks<T>(items: Iterable<T>, size = chunkEntries): IterableIterator<readonly T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
