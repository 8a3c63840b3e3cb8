/**
 * Notices what others do to tables in ipsets. The kernel raises no event for them, so their headers are looked at now and
 * then: a set that is missing, or that holds another number of elements than it should.
 */

import type { Manifest } from '../compiler/plan.js';
import type { Kernel, SetIndex } from '../kernel/kernel.js';
import type { Clock } from './clock.js';
import type { Found } from './drift.js';
import type { LiveTable } from './entries/live-table.js';
import type { Gate } from './gate.js';
import { Periodic } from './periodic.js';

export interface IpsetWatchOptions {
  readonly kernel: Pick<Kernel, 'ipsets'>;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly manifest: () => Manifest;
  readonly tables: ReadonlyMap<string, LiveTable>;
  readonly found: (found: Found) => void;
  readonly trouble: (error: unknown) => void;
}

/** Three times this, and the repair, is well within a second; a look is one short request for each ipset. */
const everyMs = 200;
/** Kernel and memory end entries at slightly different times, so that fewer count only the second time … */
const missingLooks = 2;
/** … and more, which the kernel keeps for up to a second longer, later. */
const strangeLooks = 12;

export class IpsetWatch {
  readonly #periodic: Periodic;
  /** By set: how often in a row it held too few, and too many. */
  #odd = new Map<SetIndex, { few: number; many: number }>();

  constructor(private readonly options: IpsetWatchOptions) {
    // What a look takes is mostly waiting: for a load, or for others on the netlink thread.
    this.#periodic = new Periodic(options.clock, everyMs, () => this.#look(), options.trouble, everyMs);
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  #look(): Promise<void> {
    const { gate, manifest, kernel, tables, found } = this.options;
    if (manifest().ipsets === undefined) return Promise.resolve();
    return gate.pass(async () => {
      const { ipsets = [], sets } = manifest();
      const present = await kernel.ipsets();
      const gone = ipsets.filter(({ name }) => !present.has(name));
      const changed = new Set<SetIndex>();
      for (const [index, { name, role, ports }] of ipsets.entries()) {
        const table = role.kind === 'table' ? tables.get(role.table) : undefined;
        const held = present.get(name);
        if (table === undefined || held === undefined || role.kind !== 'table') continue;
        const set = sets.length + index;
        if (this.#isOdd(set, held / (ports?.length ?? 1), table, role.family)) changed.add(set);
      }
      if (gone.length > 0) {
        found({ reasons: [`somebody deleted ipset ${gone[0]?.name}`], sets: new Set(), structure: true });
      } else if (changed.size > 0) {
        found({ reasons: ['somebody changed an ipset'], sets: changed, structure: false });
      }
    });
  }

  #isOdd(set: SetIndex, held: number, table: LiveTable, family: 4 | 6): boolean {
    if (table.underWay > 0) {
      this.#odd.delete(set);
      return false;
    }
    const { entries } = table;
    const wanted = table.sets[family].hosts.includes(set) ? entries[family].hosts : elementsOf(table, family);
    const odd = this.#odd.get(set) ?? { few: 0, many: 0 };
    odd.few = held < wanted ? odd.few + 1 : 0;
    odd.many = held > wanted ? odd.many + 1 : 0;
    this.#odd.set(set, odd);
    if (odd.few < missingLooks && odd.many < strangeLooks) return false;
    this.#odd.delete(set);
    return true;
  }
}

/** hash:net knows no prefix of length 0 and takes its halves. */
function elementsOf(table: LiveTable, family: 4 | 6): number {
  const { pieces } = table.entries[family];
  return pieces + (table.entries[family].get(0n, 0) === undefined ? 0 : 1);
}
