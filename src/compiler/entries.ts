/**
 * The policy's own entries as set contents, for a ruleset that stands alone: `postern compile` prints them, so that
 * `nft -f` loads what the daemon would. The daemon itself merges them with the live ones.
 */

import type { AddressRange } from '../net/address.js';
import { compareRanges } from '../net/prefix.js';
import { flattenNested, rangePrefixes } from '../net/ranges.js';
import { isInShard } from '../net/shards.js';
import type { Element, NftSet, Ruleset } from '../nft/model.js';
import { rangeExpression } from '../nft/range.js';
import type { ManifestSet, Plan, PlanEntry, PlanTable } from './plan.js';

/** The ruleset with the entries that stand in the policy. */
export function withEntries({ ruleset, manifest, tables }: Plan): Ruleset {
  const roles = new Map(manifest.sets.map((set) => [`${set.table} ${set.name}`, set]));
  const contents = new Map(tables.map((table) => [table.name, entriesOf(table)]));
  return {
    tables: ruleset.tables.map((table) => ({
      ...table,
      sets: table.sets.map((set) => fill(set, roles.get(`${table.family} ${set.name}`), contents)),
    })),
  };
}

function fill(
  set: NftSet,
  known: ManifestSet | undefined,
  contents: ReadonlyMap<string, readonly AddressRange[]>,
): NftSet {
  if (known?.role.kind !== 'table') return set;
  const { table, tier, family, shard } = known.role;
  const ranges = (contents.get(table) ?? []).filter(
    (range) => range.family === family && tierOf(range) === tier && (shard === undefined || isInShard(range, shard)),
  );
  if (ranges.length === 0) return set;
  return { ...set, elements: ranges.map((range): Element => ({ value: rangeExpression(range) })) };
}

const tierOf = ({ first, last }: AddressRange): 'hosts' | 'prefixes' => (first === last ? 'hosts' : 'prefixes');

/**
 * What a table holds: of all entries that cover an address the longest prefix decides; of equal ones the exception.
 * Hosts stay hosts, even where neighbours could be one prefix.
 */
function entriesOf({ entries }: PlanTable): AddressRange[] {
  const isHost = ({ range }: PlanEntry) => range.first === range.last;
  const wide = entries.filter((entry) => !isHost(entry) || entry.not);
  const nested = wide.flatMap(({ range, not }) => rangePrefixes(range).map((prefix) => ({ prefix, not })));
  const ranges = flattenNested(nested);
  const excluded = new Set(wide.filter(isHost).map(({ range }) => key(range)));
  const hosts = new Map(entries.filter((entry) => isHost(entry) && !entry.not).map(({ range }) => [key(range), range]));
  const alone = [...hosts.values()].filter((host) => !excluded.has(key(host)) && !holds(ranges, host));
  return [...ranges, ...alone].sort(compareRanges);
}

const key = ({ family, first }: AddressRange): string => `${family} ${first}`;

/** Is the host in one of the sorted ranges? */
function holds(ranges: readonly AddressRange[], host: AddressRange): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRanges(ranges[middle]!, host) <= 0) low = middle + 1;
    else high = middle;
  }
  const candidate = ranges[low - 1];
  return candidate !== undefined && candidate.family === host.family && candidate.last >= host.first;
}
