/** A ruleset with its long-lived entries as plain nft text, for a boot at which neither Node nor the network is there yet. */

import type { Plan, PlanTable } from '../compiler/plan.js';
import type { Element } from '../nft/model.js';
import type { Line } from '../nft/render.js';
import { loadScript } from '../nft/transaction.js';
import type { LiveEntry } from '../store/store.js';
import type { Clock } from './clock.js';
import { LiveTable } from './entries/live-table.js';
import { fillTable, tableElements } from './fill-table.js';
import { setNames } from './policy-tables.js';

export interface BootParts {
  /** The policy that is in force. */
  readonly plan: Plan;
  /** Its tables, with the policy's entries as they were applied. */
  readonly tables: readonly PlanTable[];
  readonly stored: (table: string) => Iterable<LiveEntry>;
  /** Contents of sets that are no tables, by `family table name`: addresses of interfaces. */
  readonly others: ReadonlyMap<string, readonly Element[]>;
  /** Entries that end sooner are left to the daemon. */
  readonly minLeftMs: number;
  readonly clock: Clock;
}

export interface BootScript {
  readonly lines: readonly Line[];
  /** Entries that didn't come from the policy. */
  readonly entries: number;
}

/** The lines replace our tables, whatever they hold, in one transaction; no other table is touched. */
export async function bootScript({ plan, tables, stored, others, minLeftMs, clock }: BootParts): Promise<BootScript> {
  const contents = new Map<string, readonly Element[]>(others);
  const names = setNames(plan.manifest);
  let entries = 0;
  for (const planned of tables) {
    const table = new LiveTable(planned);
    const lasting = [...stored(planned.name)].filter(({ expiresAt }) => isLasting(expiresAt, clock.wall() + minLeftMs));
    await fillTable(table, planned, lasting, clock);
    entries += lasting.length;
    for (const [index, { role }] of plan.manifest.sets.entries()) {
      if (role.kind !== 'table' || role.table !== planned.name) continue;
      const elements = tableElements(table, role.family, role.tier, clock);
      if (elements.length > 0) contents.set(names[index]!, elements);
    }
  }
  const remove = plan.manifest.tables.flatMap(({ family, name }) => [
    { text: `add table ${family} ${name}` },
    { text: `delete table ${family} ${name}` },
  ]);
  const nothing = { tables: new Set<string>(), chains: new Map(), sets: new Map(), objects: new Map() };
  const load = loadScript({ target: plan, previous: undefined, presence: nothing, contents });
  return { lines: [...remove, ...load], entries };
}

function isLasting(expiresAt: number | undefined, until: number): boolean {
  return expiresAt === undefined || expiresAt >= until;
}
