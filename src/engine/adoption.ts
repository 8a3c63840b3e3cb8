/** At the start: what is in the kernel and nowhere else is taken into the tables, or removed, as the policy says. */

import type { Plan, PlanTable } from '../compiler/plan.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Prefix } from '../net/address.js';
import { formatPrefix } from '../net/prefix.js';
import type { Store } from '../store/store.js';
import { adopt } from './adopt.js';
import type { Clock } from './clock.js';
import type { UnknownEntries } from './engine.js';
import type { LiveTable } from './entries/live-table.js';
import type { TableChange } from './entries/table-change.js';
import type { LiveQuotas } from './live-quotas.js';
import { loadable } from './loader.js';
import { emptyTablesPlan, type PolicyTables, ruleUses, setNames } from './policy-tables.js';
import type { EngineState } from './state-file.js';
import type { TableWriter } from './table-writer.js';

export interface AdoptionParts {
  readonly kernel: Kernel;
  readonly store: Pick<Store, 'lastWord'> | undefined;
  readonly clock: Clock;
  readonly writer: TableWriter;
  readonly tables: PolicyTables;
  readonly quotas: Pick<LiveQuotas, 'adopt'>;
  readonly found: (unknown: UnknownEntries) => void;
}

/** So many of the entries that nobody knew of are told by name. */
const mostExamples = 5;

export class Adoption {
  constructor(private readonly parts: AdoptionParts) {}

  /**
   * Entries that only the kernel knows become entries of the tables, which from then on say what the kernel holds.
   * Answers those tables.
   */
  async run(kept: EngineState | undefined, plan: Plan): Promise<ReadonlySet<LiveTable>> {
    const { kernel, quotas, clock, store, tables: known } = this.parts;
    const manifest = kept?.manifest ?? plan.manifest;
    await kernel.adopt(manifest);
    quotas.adopt(manifest);
    const { sets, ipsets = new Map<string, number>() } = await kernel.present();
    if (sets.size + ipsets.size === 0) return new Set();
    const names = setNames(manifest);
    const ipsetNames = manifest.ipsets?.map(({ name }) => name) ?? [];
    const present = (set: number) => sets.has(names[set] ?? '') || ipsets.has(ipsetNames[set - names.length] ?? '');
    const wasDeleted = (name: string, prefix: Prefix) => store?.lastWord(name, prefix)?.op === 'delete';
    const tables = kept?.tables ?? loadable(plan).tables.tables;
    known.switch(await known.prepare({ ...emptyTablesPlan, tables, manifest }));
    const rules = ruleUses(plan.ruleset, plan.manifest);
    for (const table of known.tables.values()) {
      const change = await adopt(table, { kernel, clock, present, wasDeleted });
      const unknown = plan.tables.find(({ name }) => name === table.name)?.unknown ?? table.plan.unknown;
      // What rules add nobody tells of: there it is no stranger.
      const adds = rules.get(table.name)?.adds === true;
      await this.#settle(change, adds ? 'adopt' : unknown, adds);
    }
    return new Set(known.tables.values());
  }

  async #settle(change: TableChange, unknown: PlanTable['unknown'], expected: boolean): Promise<void> {
    const found = change.puts.map(({ prefix }) => prefix);
    if (found.length === 0) return;
    if (unknown === 'remove') change.undo();
    else await this.parts.writer.record(change);
    if (expected) return;
    this.parts.found({
      table: change.table.name,
      count: found.length,
      examples: found.slice(0, mostExamples).map(formatPrefix),
      what: unknown === 'remove' ? 'removed' : 'adopted',
    });
  }
}
