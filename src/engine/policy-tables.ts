/** Which tables there are, and how one policy's tables become the next one's. */

import type { Manifest, PlanTable, SetRole } from '../compiler/plan.js';
import type { SetIndex } from '../kernel/kernel.js';
import type { Family } from '../net/address.js';
import type { Element, Ruleset } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { LiveEntry } from '../store/store.js';
import type { Clock } from './clock.js';
import type { Tier } from './entries/element.js';
import { LiveTable, nests, piecesOnce, type RuleUse, type TableSets } from './entries/live-table.js';
import { isPolicy } from './entries/terms.js';
import { carryLive, fillTable, partElements, policySource, policyWishes, putPolicy } from './fill-table.js';
import type { Wish } from './replace.js';
import { sameEntries } from './same-entries.js';
import type { TableWriter } from './table-writer.js';

/** What of a plan tables depend on. */
export interface TablesPlan {
  readonly tables: readonly PlanTable[];
  readonly manifest: Pick<Manifest, 'sets' | 'tables' | 'ipsets'>;
  /** By table, where rules add or delete hosts. */
  readonly rules: ReadonlyMap<string, RuleUse>;
}

export const emptyTablesPlan: TablesPlan = { tables: [], manifest: { sets: [], tables: [] }, rules: new Map() };

/** The next policy's tables, ready to take the place of the present ones. */
export interface Transition {
  readonly plan: TablesPlan;
  readonly tables: ReadonlyMap<string, LiveTable>;
  /** Go on with other entries of the policy. */
  readonly kept: readonly LiveTable[];
  /** Left the policy. */
  readonly gone: readonly LiveTable[];
}

/** Elements that a load brings along; what is beyond follows over netlink, which is faster. */
const contentsElements = 50_000;

export interface PolicyTablesOptions {
  readonly clock: Clock;
  readonly writer: TableWriter;
  /** Live entries that were kept on disk for a table. */
  readonly stored: (table: string) => Iterable<LiveEntry>;
}

export class PolicyTables {
  /** In force, by name. */
  readonly tables = new Map<string, LiveTable>();
  /** Left the policy for a trial: come back with it if it is rolled back. */
  readonly #retired = new Map<string, LiveTable>();

  #manifest = emptyTablesPlan.manifest;

  constructor(private readonly options: PolicyTablesOptions) {}

  /** Nothing is changed yet; new tables get the policy's entries and those on disk. Gives way to others meanwhile. */
  async prepare(plan: TablesPlan): Promise<Transition> {
    const tables = new Map<string, LiveTable>();
    const kept: LiveTable[] = [];
    for (const planned of plan.tables) {
      const before = this.tables.get(planned.name);
      const known = before !== undefined && nests(before.plan) === nests(planned) ? before : undefined;
      const retired = this.#retired.get(planned.name);
      const table = known ?? (retired && nests(retired.plan) === nests(planned) ? retired : new LiveTable(planned));
      if (known !== undefined) kept.push(known);
      else await fillTable(table, planned, this.options.stored(table.name), this.options.clock);
      if (before !== undefined && known === undefined) await carryLive(before, table, this.options.clock);
      tables.set(planned.name, table);
    }
    const gone = [...this.tables.values()].filter((table) => !tables.has(table.name));
    return { plan, tables, kept, gone };
  }

  /**
   * Contents for sets that aren't in the kernel yet, and the tables whose contents are too many to go along. A set that
   * takes over from another gets its contents from the kernel itself, with their counters.
   */
  contents(transition: Transition, presence: Presence): { readonly contents: Contents; readonly late: Set<LiveTable> } {
    const contents = new Map<string, Element[]>();
    const late = new Set<LiveTable>();
    let left = contentsElements;
    const { manifest } = transition.plan;
    const piecesOfTable = onceForEach(piecesOnce);
    for (const [index, name] of setNames(manifest).entries()) {
      const { role } = manifest.sets[index]!;
      const table = role.kind === 'table' ? transition.tables.get(role.table) : undefined;
      if (role.kind !== 'table' || table === undefined || presence.sets.has(name)) continue;
      if (this.tables.get(role.table) === table && presence.sets.has(this.#nameOf(role) ?? '')) continue;
      const { hosts, pieces } = table.entries[role.family];
      // All shards together hold the pieces.
      if ((role.shard ?? 0) === 0) left -= role.tier === 'hosts' ? hosts : pieces;
      if (left < 0) {
        late.add(table);
        continue;
      }
      const elements = partElements(role, piecesOfTable(table)(role), this.options.clock);
      if (elements.length > 0) contents.set(name, elements);
    }
    for (const { name, role } of manifest.ipsets ?? []) {
      const table = role.kind === 'table' ? transition.tables.get(role.table) : undefined;
      if (table !== undefined && (table !== this.tables.get(table.name) || presence.ipsets?.get(name) === undefined)) {
        late.add(table);
      }
    }
    return { contents, late };
  }

  /** From now on these tables are in force. The kernel has the plan already. */
  switch({ plan, tables }: Transition): void {
    for (const [name, table] of this.tables) if (!tables.has(name)) this.#retired.set(name, table);
    this.tables.clear();
    this.#manifest = plan.manifest;
    for (const planned of plan.tables) {
      const table = tables.get(planned.name)!;
      table.plan = planned;
      table.sets = setsOf(plan.manifest, planned.name);
      table.rules = plan.rules.get(planned.name) ?? { adds: false, deletes: false };
      this.tables.set(planned.name, table);
      this.#retired.delete(planned.name);
    }
  }

  /** Brings the policy's own entries of tables that go on to what their plan says. */
  async update(tables: readonly LiveTable[]): Promise<void> {
    for (const table of tables) {
      const { entries } = table.plan;
      if (await sameEntries(table.policyEntries, entries)) continue;
      const source = policySource(table.plan);
      const now = this.options.clock.steady();
      const wishes = await policyWishes(table, table.plan, this.options.clock.wall());
      await this.options.writer.perform(table, source, changes(table, wishes), (change, wish) =>
        putPolicy(change, wish, now),
      );
      table.policyEntries = entries;
    }
  }

  /** The trial is over: what left the policy won't come back. Answers those tables. */
  forget(): LiveTable[] {
    const retired = [...this.#retired.values()];
    this.#retired.clear();
    return retired;
  }

  /** The set that has the role now. */
  #nameOf(role: TableRole): string | undefined {
    const index = this.#manifest.sets.findIndex(({ role: other }) => sameRole(other, role));
    return setNames(this.#manifest)[index];
  }
}

function onceForEach<T extends object, U>(work: (of: T) => U): (of: T) => U {
  const known = new Map<T, U>();
  return (of) => {
    const result = known.get(of) ?? work(of);
    known.set(of, result);
    return result;
  };
}

type TableRole = Extract<SetRole, { kind: 'table' }>;

function sameRole(a: SetRole, b: TableRole): boolean {
  return a.kind === 'table' && a.table === b.table && a.tier === b.tier && a.family === b.family && a.shard === b.shard;
}

/** `family table name` of the manifest's sets, in their order. */
export function setNames({ tables, sets }: Pick<Manifest, 'tables' | 'sets'>): string[] {
  return sets.map(({ table, name }) => `${table} ${tables.find(({ family }) => family === table)?.name} ${name}`);
}

/** Where a table's entries are, by index in the manifest. */
function setsOf(manifest: Pick<Manifest, 'sets' | 'ipsets'>, name: string): TableSets {
  const sets: Record<Family, Record<Tier, SetIndex[]>> = {
    4: { hosts: [], prefixes: [] },
    6: { hosts: [], prefixes: [] },
  };
  for (const [index, { role }] of [...manifest.sets, ...(manifest.ipsets ?? [])].entries()) {
    if (role.kind === 'table' && role.table === name) sets[role.family][role.tier][role.shard ?? 0] = index;
  }
  return sets;
}

/** Which tables' hosts rules add to or delete from. */
export function ruleUses(ruleset: Ruleset, manifest: Pick<Manifest, 'sets'>): Map<string, RuleUse> {
  const tableOf = new Map<string, string>();
  for (const { table, name, role } of manifest.sets) {
    if (role.kind === 'table') tableOf.set(`${table} @${name}`, role.table);
  }
  const uses = new Map<string, RuleUse>();
  for (const { family, chains } of ruleset.tables) {
    for (const statement of chains.flatMap((chain) => chain.rules.flatMap((rule) => rule.statements))) {
      if (!('set' in statement)) continue;
      const { op, set } = statement.set;
      const name = tableOf.get(`${family} ${set.startsWith('@') ? set : `@${set}`}`);
      if (name === undefined) continue;
      const known = uses.get(name) ?? { adds: false, deletes: false };
      uses.set(name, op === 'delete' ? { ...known, deletes: true } : { ...known, adds: true });
    }
  }
  return uses;
}

/** Only what is not so already; an unchanged list of any length costs the kernel nothing. */
function* changes(table: LiveTable, chunks: Iterable<readonly Wish[]>): IterableIterator<readonly Wish[]> {
  for (const chunk of chunks) {
    const changed = chunk.filter(({ prefix, terms }) => {
      const current = table.get(prefix);
      return current === undefined || !isPolicy(current) || current.not !== terms?.not;
    });
    if (changed.length > 0) yield changed;
  }
}
