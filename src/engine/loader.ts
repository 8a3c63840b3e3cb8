/** Brings the kernel and the tables from one plan to another: everything, or nothing. */

import type { Manifest, Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { BulkContents, Kernel } from '../kernel/kernel.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { LiveTable } from './entries/live-table.js';
import type { Gate } from './gate.js';
import { emptyInventory, type Inventory, inventoryOf } from './inventory.js';
import { emptyTablesPlan, type PolicyTables, ruleUses, type TablesPlan } from './policy-tables.js';

/** A plan with what is derived from it. */
export interface Loadable {
  readonly plan: Plan;
  readonly inventory: Inventory;
  readonly tables: TablesPlan;
}

export function loadable(plan: Plan): Loadable {
  const { tables, manifest, ruleset } = plan;
  return { plan, inventory: inventoryOf(plan), tables: { tables, manifest, rules: ruleUses(ruleset, manifest) } };
}

const nothing: Manifest = {
  format: 1,
  digest: '',
  tables: [],
  sets: [],
  objects: [],
  chains: [],
  marks: [],
  groups: [],
};

/** Of a manifest that tells names, but not what they hold. */
export const unknownDigest = 'unknown';

/** Nothing of ours in the kernel. */
export const emptyLoadable: Loadable = {
  plan: { ruleset: { tables: [] }, manifest: nothing, tables: [], accounts: [], duties: [], notes: [], warnings: [] },
  inventory: emptyInventory,
  tables: emptyTablesPlan,
};

export interface LoaderOptions {
  readonly kernel: Kernel;
  readonly gate: Gate;
  readonly tables: PolicyTables;
  /** The plan as it has to be loaded, so that its objects stay as they are. Asked before `contents`. */
  readonly prepared: (plan: Plan, presence: Presence) => Promise<Plan>;
  /** Contents of sets that aren't tables'. */
  readonly contents: (plan: Plan, presence: Presence) => Contents;
  /** Contents of sets that aren't there yet and take many. @throws PosternError `policy` when there are none to have. */
  readonly bulk: (plan: Plan, presence: Presence) => Promise<BulkContents>;
  /** Fills a table's sets with what the load could not bring. */
  readonly reconcile: (table: LiveTable) => Promise<unknown>;
  /** The plan is in the kernel, and nothing else has been done with it yet. */
  readonly switched: (plan: Plan) => void;
}

export class Loader {
  constructor(private readonly options: LoaderOptions) {}

  /**
   * @param manifest what may be in the kernel
   * @param from what to go back to when the policy's entries don't fit; unknown right after a start
   * @throws PosternError `kernel`, `full` …; everything is as it was then.
   */
  async load(to: Loadable, from: Loadable | undefined, manifest: Manifest | undefined): Promise<void> {
    const { tables } = this.options;
    await this.#switch(to, manifest);
    try {
      await tables.update([...tables.tables.values()]);
      await this.#readBack(to);
    } catch (error) {
      if (from !== undefined) {
        await this.#switch(from, to.plan.manifest);
        await tables.update([...tables.tables.values()]);
      }
      throw error;
    }
  }

  /** Loads what is in force once more, whatever the kernel seems to hold. Entries of sets that are there are left alone. */
  async reload(loaded: Loadable): Promise<void> {
    await this.#switch(loaded, { ...loaded.plan.manifest, digest: unknownDigest });
  }

  async #switch(to: Loadable, previous: Manifest | undefined): Promise<void> {
    const { kernel, gate, tables, prepared, contents, bulk, reconcile, switched } = this.options;
    const transition = await tables.prepare(to.tables);
    const late = await gate.close(async () => {
      const presence = await kernel.present();
      const { plan } = to;
      const asItStands = await prepared(plan, presence);
      const filled = tables.contents(transition, presence);
      const all = new Map([...contents(plan, presence), ...filled.contents]);
      await kernel.load(asItStands, previous, all, await bulk(plan, presence));
      tables.switch(transition);
      switched(plan);
      return filled.late;
    });
    for (const table of late) await reconcile(table);
  }

  async #readBack({ plan }: Loadable): Promise<void> {
    const lost = missingFrom(plan.manifest, await this.options.kernel.present());
    if (lost.length === 0) return;
    throw new PosternError('kernel', `the kernel took the policy, but these are missing: ${lost.join(', ')}`);
  }
}

/** Names of what the manifest has and the kernel hasn't. */
function missingFrom({ tables, sets, ipsets = [], objects, chains }: Manifest, presence: Presence): string[] {
  const tableName = new Map(tables.map(({ family, name }) => [family, `${family} ${name}`]));
  const inTable = (family: Manifest['sets'][number]['table'], name: string) => `${tableName.get(family)} ${name}`;
  return [
    ...[...tableName.values()].filter((name) => !presence.tables.has(name)),
    ...sets.map(({ table, name }) => inTable(table, name)).filter((name) => !presence.sets.has(name)),
    ...ipsets.map(({ name }) => name).filter((name) => !presence.ipsets?.has(name)),
    ...chains.map(({ table, name }) => inTable(table, name)).filter((name) => !presence.chains.has(name)),
    ...objects
      .map(({ table, kind, name }) => inTable(table, `${kind} ${name}`))
      .filter((name) => !presence.objects.has(name)),
  ];
}
