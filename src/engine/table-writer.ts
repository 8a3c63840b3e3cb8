/** Takes changes to tables into the kernel and the store: in order, in bounded transactions, all of a request or nothing. */

import { PosternError } from '../errors.js';
import type { Addition, ElementChange, ElementKey, Kernel, SetIndex } from '../kernel/kernel.js';
import type { CommitRequest, Committer } from '../store/committer.js';
import type { Draft } from '../store/store.js';
import type { Clock } from './clock.js';
import { addElement } from './entries/element.js';
import { families, type LiveTable, piecesIn, piecesOf, setsOf, type TablePart } from './entries/live-table.js';
import { PutList } from './entries/put-list.js';
import { TableChange, type ToWall } from './entries/table-change.js';
import type { Gate } from './gate.js';
import type { Source } from './tables.js';

/** Entries in one transaction: keeps the event loop and the kernel's other writers waiting for milliseconds only. */
export const chunkEntries = 1_000;
/** Larger transactions let smaller ones overtake them. */
const urgentEntries = 64;
/** Transactions of one request that are under way: one is prepared while another is in the kernel. */
const chunksUnderWay = 3;

export interface TableWriterOptions {
  readonly kernel: Pick<Kernel, 'replace'>;
  readonly committer: Committer;
  /** Does the committer keep entries? Else it needn't be told of them. */
  readonly durable: boolean;
  readonly clock: Clock;
  readonly gate: Gate;
  /** The kernel may not hold what the table says, because a change of several that came together has failed. */
  readonly doubt: (table: LiveTable) => void;
  readonly full: (table: LiveTable) => void;
  /** Something may expire earlier than before. */
  readonly changed: (table: LiveTable) => void;
}

interface Request extends CommitRequest {
  /** Of several chunks. */
  readonly isLarge: boolean;
}

interface Chunk<T> {
  readonly table: LiveTable;
  readonly source: Source;
  readonly chunk: readonly T[];
  readonly step: (change: TableChange, item: T) => void;
  /** Takes what was put once it is in the kernel and the store. */
  readonly made?: PutList;
}

export class TableWriter {
  readonly #single: Request;

  constructor(private readonly options: TableWriterOptions) {
    const { committer } = options;
    this.#single = { commit: committer.commit.bind(committer), done: async () => {}, isLarge: false };
  }

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
    const { parts, request } = this.#request(chunks);
    const made = new PutList();
    const underWay = new Set<Promise<unknown>>();
    let failure: { readonly error: unknown } | undefined;
    let isFirst = true;
    for (const chunk of parts) {
      if (underWay.size >= chunksUnderWay) await Promise.race(underWay);
      if (failure !== undefined) break;
      const own = isFirst ? drafts : drafts && [];
      isFirst = false;
      const writing = this.#chunk(request, { table, source, chunk, step, made }, own).catch((error: unknown) => {
        failure ??= { error };
      });
      underWay.add(writing);
      void writing.finally(() => underWay.delete(writing));
      if (request.isLarge) await new Promise(setImmediate);
    }
    await Promise.all(underWay);
    if (failure !== undefined) await this.#takeBack(request, table, source, made);
    await request.done();
    if (failure !== undefined) throw failure.error;
  }

  /** A request of several chunks is one for the store, too. */
  #request<T>(chunks: Iterable<readonly T[]>): { readonly parts: Iterable<readonly T[]>; readonly request: Request } {
    const { committer } = this.options;
    const iterator = chunks[Symbol.iterator]();
    const [first, second] = [iterator.next(), iterator.next()];
    const parts = (function* () {
      if (!first.done) yield first.value;
      if (!second.done) yield second.value;
      for (let next = second.done ? second : iterator.next(); !next.done; next = iterator.next()) yield next.value;
    })();
    if (!second.done) return { parts, request: { ...committer.request(), isLarge: true } };
    return { parts, request: this.#single };
  }

  /** As `perform`, for what is one transaction. */
  async performOne<T>(
    table: LiveTable,
    source: Source,
    items: readonly T[],
    step: (change: TableChange, item: T) => void,
  ): Promise<void> {
    const change = { table, source, chunk: items, step };
    await this.#chunk(this.#single, change, undefined);
  }

  /**
   * Makes one request of any length in the table's ipsets by swap: what a packet meets is the old table or the new one.
   * @throws PosternError `full`, `kernel` and what the store throws.
   */
  async swap<T>(
    table: LiveTable,
    source: Source,
    chunks: Iterable<readonly T[]>,
    step: (change: TableChange, item: T) => void,
  ): Promise<void> {
    const { gate, doubt } = this.options;
    await gate.pass(async () => {
      const change = new TableChange(table, source);
      for (const chunk of chunks) {
        for (const item of chunk) step(change, item);
        await new Promise(setImmediate);
      }
      const full = this.#makeRoom(change);
      this.options.changed(table);
      if (full !== undefined) throw full;
      table.underWay++;
      try {
        await this.#store(this.#drafts(change));
        await this.#swapSets(table);
      } catch (error) {
        const reverse = change.reverse();
        await this.#store(this.#drafts(reverse)).catch(() => {});
        doubt(table);
        throw error;
      } finally {
        table.underWay--;
      }
    });
  }

  async #store(drafts: readonly Draft[]): Promise<void> {
    const request = this.options.committer.request();
    try {
      for (const chunk of inChunks(drafts)) await request.commit(chunk, []);
    } finally {
      await request.done();
    }
  }

  /** What came in between is in the table already, so that it isn't lost. */
  async #swapSets(table: LiveTable): Promise<void> {
    const { clock, kernel } = this.options;
    for (const part of setsOf(table)) await kernel.replace(part.set, additions(table, part, clock.steady()));
  }

  /** Tells the store what was noticed in the kernel. */
  async record(change: TableChange): Promise<void> {
    const drafts = this.#drafts(change);
    this.options.changed(change.table);
    if (drafts.length > 0) await this.options.committer.commit(drafts, []);
  }

  /** Deletes hosts from the kernel that are no entries. */
  async drop(table: LiveTable, hosts: readonly ElementKey[]): Promise<void> {
    if (hosts.length === 0) return;
    const elements = hosts.flatMap(({ key }): ElementChange[] => {
      return table.sets[key.length === 4 ? 4 : 6].hosts.map((set) => ({ op: 'delete', set, key }));
    });
    await this.options.committer.commit([], elements);
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

  #drafts(change: TableChange): Draft[] {
    return this.options.durable ? change.drafts(this.#wallOf()) : [];
  }

  readonly toWall = (steadyMs: number): number | undefined => this.#wallOf()(steadyMs);

  /** Both clocks are read once: a change has thousands of times. */
  #wallOf(): ToWall {
    const { clock } = this.options;
    const offsetMs = clock.wall() - clock.steady();
    return (steadyMs) => (steadyMs === Number.POSITIVE_INFINITY ? undefined : Math.round(steadyMs + offsetMs));
  }

  async #chunk<T>(
    { commit }: Request,
    { table, source, chunk, step, made }: Chunk<T>,
    drafts: readonly Draft[] | undefined,
  ): Promise<void> {
    const { gate, clock } = this.options;
    await gate.pass(async () => {
      const change = new TableChange(table, source);
      for (const item of chunk) step(change, item);
      const full = this.#makeRoom(change);
      this.options.changed(table);
      table.underWay++;
      try {
        const written = full ? [] : (drafts ?? this.#drafts(change));
        const signed = source.kind === 'pftabled';
        await commit(written, change.elements(clock.steady()), { bulk: chunk.length > urgentEntries, signed });
      } catch (error) {
        // Neither the kernel nor the store has it; a later change on top of it may be half there.
        change.undo();
        this.options.doubt(table);
        throw error;
      } finally {
        table.underWay--;
      }
      if (full !== undefined) throw full;
      for (const put of change.puts) made?.add(put);
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

  /** The last first, in chunks. */
  async #takeBack({ commit }: Request, table: LiveTable, source: Source, made: PutList): Promise<void> {
    const { gate, clock, doubt } = this.options;
    for (const family of families) {
      for (const chunk of inChunks(made.backwards(family))) {
        await gate.pass(async () => {
          const reverse = new TableChange(table, source);
          for (const put of chunk) reverse.takeBack(put);
          try {
            await commit(this.#drafts(reverse), reverse.elements(clock.steady()), { bulk: true });
          } catch {
            doubt(table);
          }
        });
      }
    }
  }
}

/** Everything that the table holds for one of its sets. */
export function additions(
  table: LiveTable,
  { set, ...part }: TablePart & { readonly set: SetIndex },
  now: number,
): Addition[] {
  const found: Addition[] = [];
  const { family, tier } = part;
  for (const piece of piecesIn(part, piecesOf(table, family, tier))) {
    const element = addElement(set, family, tier, piece, now);
    if (element !== undefined) found.push(element);
  }
  return found;
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
