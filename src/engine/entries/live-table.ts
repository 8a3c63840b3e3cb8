/** A table of the policy with its entries of both families, and changes to it that can be taken back. */

import type { PlanTable } from '../../compiler/plan.js';
import type { ElementChange, SetIndex } from '../../kernel/kernel.js';
import type { Family, Prefix } from '../../net/address.js';
import { addElement, deleteElement, type Tier } from './element.js';
import { FamilyDelta, FamilyEntries } from './family-entries.js';
import type { Terms } from './terms.js';

export const families = [4, 6] as const;
export const tiers = ['hosts', 'prefixes'] as const;

/** Where the entries of a family are in the kernel; a tier without a set isn't there. */
export type TierSets = Readonly<Partial<Record<Tier, SetIndex>>>;

export class LiveTable {
  readonly entries: Readonly<Record<Family, FamilyEntries>> = { 4: new FamilyEntries(4), 6: new FamilyEntries(6) };
  sets: Readonly<Record<Family, TierSets>> = { 4: {}, 6: {} };
  /** Counts deletions, so that a listing made meanwhile is known to be stale. */
  deletions = 0;

  constructor(public plan: PlanTable) {}

  get(prefix: Prefix): Terms | undefined {
    return this.entries[prefix.family].get(prefix.value, prefix.length);
  }

  /** The first tier that holds more than the table's size. */
  overfull(): { readonly family: Family; readonly tier: Tier } | undefined {
    for (const family of families) {
      const { hosts, prefixes, pieces } = this.entries[family];
      if (hosts > this.plan.size) return { family, tier: 'hosts' };
      if (Math.max(prefixes, pieces) > this.plan.size) return { family, tier: 'prefixes' };
    }
    return undefined;
  }

  nextExpiry(): number {
    return Math.min(...families.map((family) => this.entries[family].nextExpiry()));
  }
}

interface Put {
  readonly prefix: Prefix;
  readonly before: Terms | undefined;
  readonly after: Terms | undefined;
}

/** Made in memory at once; `elements` is what the kernel has to be told. */
export class TableChange {
  readonly #puts: Put[] = [];
  readonly #deltas: Readonly<Record<Family, FamilyDelta>> = { 4: new FamilyDelta(), 6: new FamilyDelta() };

  constructor(readonly table: LiveTable) {}

  put(prefix: Prefix, terms: Terms | undefined): void {
    const { family, value, length } = prefix;
    const before = this.table.entries[family].put(value, length, terms, this.#deltas[family]);
    if (terms === undefined) this.table.deletions++;
    this.#puts.push({ prefix, before, after: terms });
  }

  /** Drops at most `limit` entries that have expired; answers them. */
  expire(now: number, limit = Number.POSITIVE_INFINITY): Prefix[] {
    return families.flatMap((family) => this.table.entries[family].expire(now, limit, this.#deltas[family]));
  }

  /** For one transaction: deletions first, so that nothing overlaps and a full set has room. */
  elements(now: number): ElementChange[] {
    const deletes: ElementChange[] = [];
    const adds: ElementChange[] = [];
    for (const family of families) {
      for (const tier of tiers) {
        const set = this.table.sets[family][tier];
        if (set === undefined) continue;
        const delta = this.#deltas[family][tier];
        for (const piece of delta.deletes()) deletes.push(deleteElement(set, family, tier, piece));
        for (const piece of delta.adds()) {
          const element = addElement(set, family, tier, piece, now);
          if (element !== undefined) adds.push(element);
        }
      }
    }
    return [...deletes, ...adds];
  }

  /**
   * The change that takes this one back, made in memory at once, except where a later change came on top. When the kernel
   * never had this change, its elements needn't be told.
   */
  revert(): TableChange {
    const reverse = new TableChange(this.table);
    for (const { prefix, before, after } of this.#puts.toReversed()) {
      if (this.table.get(prefix) === after) reverse.put(prefix, before);
    }
    return reverse;
  }
}
