/** Policy tables as sets: two tiers for each family, hosts in a hash and prefixes in intervals. */

import { addressOf, addressType } from '../extensions/address-field.js';
import type { Line } from '../extensions/fragment.js';
import type { SetRequest, TableSets } from '../extensions/site.js';
import type { Family } from '../net/address.js';
import { formatDuration } from '../net/duration.js';
import { shardCount } from '../net/shards.js';
import { counter, deleteFrom, jump, returnVerdict, update } from '../nft/build.js';
import type { Origin, Verdict } from '../nft/model.js';
import type { Position, TableDecl } from '../policy/ast.js';
import { type Draft, refuse } from './draft/draft.js';
import { originOf } from './draft/origin.js';
import { bothFamilies } from './weave.js';

type Tier = 'hosts' | 'prefixes';

/** Declares the sets of all tables, whether a rule uses them or not: updates from outside do. */
export function declareTables(draft: Draft): void {
  for (const decl of draft.policy.tables.values()) {
    if (decl.backend !== 'nft') continue;
    for (const family of bothFamilies) {
      declare(draft, decl, 'hosts', family);
      declarePrefixes(draft, decl, family);
    }
  }
}

/** The sets of a table that a rule names. */
export function tableSets(draft: Draft, name: string, at: Position): TableSets {
  const decl = draft.policy.tables.get(name)!;
  if (decl.backend !== 'nft') {
    return refuse(at, `<${name}> is an ipset, and nft rules can't look into one`, 'take backend nft, or another table');
  }
  const hosts = (family: Family) => declare(draft, decl, 'hosts', family);
  const addLines = (what: 'source' | 'destination', timeoutMs = decl.timeoutMs) =>
    linesToAdd(draft, decl, what, timeoutMs);
  return {
    hosts,
    prefixes: (family) => declarePrefixes(draft, decl, family),
    addLines,
    add: (what, timeoutMs = decl.timeoutMs) => addChain(draft, decl, what, timeoutMs, addLines(what, timeoutMs), at),
    delete: (what) =>
      bothFamilies.map((family) => ({ family, statements: [deleteFrom(hosts(family), addressOf(what, family))] })),
  };
}

/** A set of so many intervals is changed within 20 ms, of which the kernel needs most to go through it. */
const mostInOneSet = 100_000;

function declarePrefixes(draft: Draft, decl: TableDecl, family: Family): string[] {
  if (decl.size <= mostInOneSet) return [declare(draft, decl, 'prefixes', family)];
  return Array.from({ length: shardCount }, (_, shard) => declare(draft, decl, 'prefixes', family, shard));
}

function declare(draft: Draft, decl: TableDecl, tier: Tier, family: Family, shard?: number): string {
  const key = `${decl.name} ${tier} ${family} ${shard}`;
  const known = draft.tableSets.get(key);
  if (known !== undefined) return known;
  const name = draft.ruleset.set(requestOf(decl, tier, family, shard), originOf(decl.at), decl.size);
  draft.tableSets.set(key, name);
  return name;
}

/** How a table's set looks. Its name doesn't tell shapes apart: change one here and the other there. */
const requestOf = (decl: TableDecl, tier: Tier, family: Family, shard?: number): SetRequest => ({
  role: { kind: 'table', tier, table: decl.name, family, ...(shard !== undefined && { shard }) },
  key: { type: [addressType(family)] },
  flags: tier === 'hosts' ? ['dynamic', 'timeout'] : ['interval', 'timeout'],
  ...(tier === 'hosts' && { size: decl.size }),
  ...(decl.counters && { counter: true }),
});

function linesToAdd(
  draft: Draft,
  decl: TableDecl,
  what: 'source' | 'destination',
  timeoutMs: number | undefined,
): Line[] {
  const timed = timeoutMs === undefined || timeoutMs === 0 ? {} : { timeoutMs };
  const add = (family: Family) => update(declare(draft, decl, 'hosts', family), addressOf(what, family), timed);
  const full = (family: Family) => counter(overflowOf(draft, requestOf(decl, 'hosts', family), originOf(decl.at)));
  return [
    ...bothFamilies.map((family) => ({ family, statements: [add(family), returnVerdict] })),
    ...bothFamilies.map((family) => ({ family, statements: [full(family)] })),
  ];
}

function addChain(
  draft: Draft,
  decl: TableDecl,
  what: 'source' | 'destination',
  timeoutMs: number | undefined,
  lines: readonly Line[],
  at: Position,
): Verdict {
  const lasts = timeoutMs === undefined || timeoutMs === 0 ? 'ever' : formatDuration(timeoutMs);
  const name = `add_${decl.name}_${what === 'source' ? 'src' : 'dst'}_${lasts}`;
  return jump(draft.chainOf(name, `table ${name}`, lines, at));
}

/** The counter of packets that found a set full. */
export function overflowOf(draft: Draft, { role, table }: SetRequest, origin: Origin): string {
  return draft.ruleset.object(
    { kind: 'counter', ...(table !== undefined && { table }), role: { kind: 'overflow', of: role } },
    origin,
  );
}
