/**
 * A ruleset with its long-lived entries as plain text of nft and ipset, for a boot at which neither Node nor the network is
 * there yet.
 */

import type { Manifest, Plan, PlanTable } from '../compiler/plan.js';
import { type IpsetContents, restoreText } from '../kernel/ipset-restore.js';
import type { Element } from '../nft/model.js';
import type { Line } from '../nft/render.js';
import { loadScript } from '../nft/transaction.js';
import type { LiveEntry } from '../store/store.js';
import type { Clock } from './clock.js';
import { LiveTable, piecesOnce } from './entries/live-table.js';
import { fillTable, partElements } from './fill-table.js';
import { setNames } from './policy-tables.js';
import { additions } from './table-writer.js';

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
  /** For `ipset restore`; undefined when no table is an ipset. */
  readonly ipsets: string | undefined;
  /** Entries that didn't come from the policy. */
  readonly entries: number;
}

/** The lines replace our tables, whatever they hold, in one transaction; no other table is touched. */
export async function bootScript({ plan, tables, stored, others, minLeftMs, clock }: BootParts): Promise<BootScript> {
  const contents = new Map<string, readonly Element[]>(others);
  const names = setNames(plan.manifest);
  const ipsets: IpsetContents[] = [];
  let entries = 0;
  for (const planned of tables) {
    const table = new LiveTable(planned);
    const lasting = [...stored(planned.name)].filter(({ expiresAt }) => isLasting(expiresAt, clock.wall() + minLeftMs));
    await fillTable(table, planned, lasting, clock);
    entries += lasting.length;
    const pieces = piecesOnce(table);
    for (const [index, { role }] of plan.manifest.sets.entries()) {
      if (role.kind !== 'table' || role.table !== planned.name) continue;
      const elements = partElements(role, pieces(role), clock);
      if (elements.length > 0) contents.set(names[index]!, elements);
    }
    ipsets.push(...ipsetContents(table, plan.manifest, clock));
  }
  const remove = plan.manifest.tables.flatMap(({ family, name }) => [
    { text: `add table ${family} ${name}` },
    { text: `delete table ${family} ${name}` },
  ]);
  const nothing = { tables: new Set<string>(), chains: new Map(), sets: new Map(), objects: new Map() };
  const load = loadScript({ target: plan, previous: undefined, presence: nothing, contents });
  return {
    lines: [...remove, ...load],
    ipsets: ipsets.length === 0 ? undefined : restoreText(ipsets),
    entries,
  };
}

function ipsetContents(table: LiveTable, { sets, ipsets = [] }: Manifest, clock: Clock): IpsetContents[] {
  return ipsets.flatMap((set, index) => {
    const { role } = set;
    if (role.kind !== 'table' || role.table !== table.name) return [];
    return [{ set, additions: additions(table, { ...role, set: sets.length + index }, clock.steady()) }];
  });
}

function isLasting(expiresAt: number | undefined, until: number): boolean {
  return expiresAt === undefined || expiresAt >= until;
}
