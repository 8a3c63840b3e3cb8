/** The tables of the policy that is in force, for every source of updates. */

import type { EventEmitter } from 'node:events';
import { PosternError } from '../errors.js';
import type { Address, Prefix } from '../net/address.js';
import type { Draft } from '../store/store.js';
import type { Clock } from './clock.js';
import type { EngineEvents } from './engine.js';
import type { LiveTable } from './entries/live-table.js';
import type { TableChange } from './entries/table-change.js';
import { livePart, type Terms } from './entries/terms.js';
import type { Gate } from './gate.js';
import { missing } from './missing.js';
import { replacement, type Wish } from './replace.js';
import { addLive, deleteLive, type Outcome, Tally, termsReader } from './requests.js';
import type { TableReader } from './table-reader.js';
import { chunkEntries, inChunks, type TableWriter } from './table-writer.js';
import type { ChangeCount, Entry, EntryView, Source, TableSummary, Tables, TestResult } from './tables.js';
import { Turns } from './turns.js';

export interface LiveTablesOptions {
  readonly tables: ReadonlyMap<string, LiveTable>;
  readonly writer: TableWriter;
  readonly reader: TableReader;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly events: EventEmitter<EngineEvents>;
}

/** A listing of summaries may be this old where rules add entries. */
const summaryAgeMs = 5_000;

export class LiveTables implements Tables {
  #requests = 0;
  /** Requests for a whole table come one after the other. */
  readonly #whole = new Turns<LiveTable>();

  constructor(private readonly options: LiveTablesOptions) {}

  async list(): Promise<TableSummary[]> {
    const { tables, reader } = this.options;
    await this.#reading(() => Promise.all([...tables.values()].map((table) => reader.notice(table, summaryAgeMs))));
    return [...tables.values()].map(({ plan, entries }) => ({
      name: plan.name,
      ...(plan.timeoutMs !== undefined && { timeoutMs: plan.timeoutMs }),
      size: plan.size,
      hosts: entries[4].hosts + entries[6].hosts,
      prefixes: entries[4].prefixes + entries[6].prefixes,
      backend: plan.backend,
    }));
  }

  async add(name: string, entries: readonly Entry[], source: Source): Promise<ChangeCount> {
    const table = this.#table(name);
    const now = this.#now();
    const termsOf = termsReader(table, source, now, this.#nextRequest());
    for (const entry of entries) termsOf(entry);
    return this.#each(table, source, entries, (change, entry) =>
      addLive(change, entry.prefix, termsOf(entry), now.steady),
    );
  }

  async delete(name: string, prefixes: readonly Prefix[], source: Source): Promise<ChangeCount> {
    const table = this.#table(name);
    // Without a pause where none is needed: requests take effect in the order of the calls.
    if (table.rules.adds) await this.#reading(() => this.options.reader.noticeHosts(table, prefixes));
    const { steady } = this.#now();
    return this.#each(table, source, prefixes, (change, prefix) => deleteLive(change, prefix, steady));
  }

  async replace(name: string, entries: Iterable<Entry>, source: Source): Promise<ChangeCount> {
    const table = this.#table(name);
    const request = this.#nextRequest();
    return this.#whole.take(table, async () => {
      const now = this.#now();
      const termsOf = termsReader(table, source, now, request);
      await this.#reading(() => this.options.reader.notice(table, 0));
      const wishes = await replacement(table, { items: entries, termsOf, owns: isLive });
      const step = (change: TableChange, { prefix, terms }: Wish) => {
        const current = table.get(prefix);
        if (isLater(current, request)) return 'unchanged';
        return terms === undefined
          ? deleteLive(change, prefix, now.steady, current)
          : addLive(change, prefix, terms, now.steady, current);
      };
      return table.plan.ipset === undefined
        ? this.#perform(table, source, wishes, step)
        : this.#swap(table, source, wishes, step);
    });
  }

  async flush(name: string, source: Source): Promise<ChangeCount> {
    const table = this.#table(name);
    const request = this.#nextRequest();
    return this.#whole.take(table, async () => {
      const { steady } = this.#now();
      await this.#reading(() => this.options.reader.notice(table, 0));
      const wishes = await replacement<Entry>(table, { items: [], termsOf: noTerms, owns: isLive });
      const step = (change: TableChange, { prefix }: Wish) => {
        const current = table.get(prefix);
        return isLater(current, request) ? 'unchanged' : deleteLive(change, prefix, steady, current);
      };
      // One word for the store instead of one for each entry.
      return this.#perform(table, source, wishes, step, [{ kind: 'flush', table: name, origin: source }]);
    });
  }

  async show(name: string): Promise<Iterable<EntryView>> {
    return this.#reading(() => this.options.reader.show(this.#table(name)));
  }

  async test(name: string, address: Address): Promise<TestResult> {
    return this.#reading(() => this.options.reader.test(this.#table(name), address));
  }

  /** While a load runs, it isn't sure which set is a table's: that comes first. */
  #reading<T>(read: () => Promise<T>): Promise<T> {
    return this.options.gate.pass(read);
  }

  /** The hot path: mostly one entry. */
  async #each<T>(
    table: LiveTable,
    source: Source,
    items: readonly T[],
    step: (change: TableChange, item: T) => Outcome,
  ): Promise<ChangeCount> {
    if (items.length > chunkEntries) return this.#perform(table, source, inChunks(items), step);
    const tally = new Tally();
    await this.options.writer.performOne(table, source, items, (change, item) => tally.note(step(change, item)));
    this.options.events.emit('table', { table: table.name, source, count: tally.count });
    return tally.count;
  }

  async #perform<T>(
    table: LiveTable,
    source: Source,
    chunks: Iterable<readonly T[]>,
    step: (change: TableChange, item: T) => Outcome,
    drafts?: readonly Draft[],
  ): Promise<ChangeCount> {
    const tally = new Tally();
    const noted = (change: TableChange, item: T) => tally.note(step(change, item));
    await this.options.writer.perform(table, source, chunks, noted, drafts);
    const { count } = tally;
    this.options.events.emit('table', { table: table.name, source, count });
    return count;
  }

  async #swap<T>(
    table: LiveTable,
    source: Source,
    chunks: Iterable<readonly T[]>,
    step: (change: TableChange, item: T) => Outcome,
  ): Promise<ChangeCount> {
    const tally = new Tally();
    await this.options.writer.swap(table, source, chunks, (change, item) => tally.note(step(change, item)));
    this.options.events.emit('table', { table: table.name, source, count: tally.count });
    return tally.count;
  }

  #table(name: string): LiveTable {
    const table = this.options.tables.get(name);
    if (table !== undefined) return table;
    throw missing('table', name, this.options.tables.keys());
  }

  #now(): { readonly steady: number; readonly wall: number } {
    const { clock } = this.options;
    return { steady: clock.steady(), wall: clock.wall() };
  }

  #nextRequest(): number {
    this.#requests++;
    return this.#requests;
  }
}

function isLive(terms: Terms): boolean {
  return livePart(terms) !== undefined;
}

function noTerms(): never {
  throw new PosternError('internal', 'a flush brings no entries');
}

/** Did a request that came after this one change the entry? */
function isLater(current: Terms | undefined, request: number): boolean {
  return (livePart(current)?.request ?? 0) > request;
}
