/** A table of the policy with its entries of both families. */

import type { PlanEntry, PlanTable } from '../../compiler/plan.js';
import type { SetIndex } from '../../kernel/kernel.js';
import type { Family, Prefix } from '../../net/address.js';
import { isInShard, shardsOf } from '../../net/shards.js';
import type { Tier } from './element.js';
import { FamilyEntries } from './family-entries.js';
import type { Piece } from './flatten.js';
import type { Terms } from './terms.js';

export const families = [4, 6] as const;
export const tiers = ['hosts', 'prefixes'] as const;

/**
 * Where the entries of a family are in the kernel: hosts in one set, prefixes in one or in one for each shard; none where
 * the tier isn't there.
 */
export type TierSets = Readonly<Record<Tier, readonly SetIndex[]>>;
export type TableSets = Readonly<Record<Family, TierSets>>;

/** One of a table's sets: `shard` when there are several. */
export interface TablePart {
  readonly family: Family;
  readonly tier: Tier;
  readonly shard?: number;
}

/** What rules do to the table's hosts on their own. */
export interface RuleUse {
  readonly adds: boolean;
  readonly deletes: boolean;
}

/** Does the kernel hold its entries as they are? */
export function nests({ ipset }: PlanTable): boolean {
  return ipset === 'hash:net';
}

export class LiveTable {
  readonly entries: Readonly<Record<Family, FamilyEntries>>;
  sets: TableSets = { 4: { hosts: [], prefixes: [] }, 6: { hosts: [], prefixes: [] } };
  rules: RuleUse = { adds: false, deletes: false };
  /** The policy's entries that are in the table. */
  policyEntries: readonly PlanEntry[] = [];
  /** Counts deletions, so that a listing made meanwhile is known to be stale. */
  deletions = 0;
  /** Changes that the kernel hasn't answered yet. */
  underWay = 0;
  /** When its hosts were last compared with the kernel's, on the steady clock. */
  noticedAt = Number.NEGATIVE_INFINITY;

  constructor(public plan: PlanTable) {
    const nested = nests(plan);
    this.entries = { 4: new FamilyEntries(4, nested), 6: new FamilyEntries(6, nested) };
  }

  get name(): string {
    return this.plan.name;
  }

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

  /** On the steady clock; Infinity when nothing expires. */
  nextExpiry(): number {
    return Math.min(...families.map((family) => this.entries[family].nextExpiry()));
  }
}

/** All of its sets. */
export function* setsOf({ sets }: LiveTable): IterableIterator<TablePart & { readonly set: SetIndex }> {
  for (const family of families) {
    for (const tier of tiers) {
      const own = sets[family][tier];
      for (const [shard, set] of own.entries()) yield { family, tier, set, ...(own.length > 1 && { shard }) };
    }
  }
}

/** Those of a tier's sets that hold a piece: mostly one. */
export function setsFor(
  sets: readonly SetIndex[],
  family: Family,
  { first, last }: Pick<Piece, 'first' | 'last'>,
): readonly SetIndex[] {
  return sets.length <= 1 ? sets : shardsOf({ family, first, last }).map((shard) => sets[shard]!);
}

/** What the sets of a tier hold. */
export function piecesOf(table: LiveTable, family: Family, tier: Tier): Iterable<Piece> {
  const entries = table.entries[family];
  return tier === 'hosts' ? entries.hostPieces() : entries.prefixPieces();
}

/** The same, worked out once for all sets of a tier. */
export function piecesOnce(table: LiveTable): (part: TablePart) => Iterable<Piece> {
  const known = new Map<string, Iterable<Piece>>();
  return ({ family, tier }) => {
    const pieces = known.get(`${family} ${tier}`) ?? piecesOf(table, family, tier);
    known.set(`${family} ${tier}`, pieces);
    return pieces;
  };
}

/** What one of its sets holds, of what those of its tier hold. */
export function piecesIn({ family, shard }: TablePart, pieces: Iterable<Piece>): Iterable<Piece> {
  if (shard === undefined) return pieces;
  return {
    *[Symbol.iterator]() {
      for (const piece of pieces) if (isInShard({ family, ...piece }, shard)) yield piece;
    },
  };
}
