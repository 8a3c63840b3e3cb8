/** The difference between the entries that two policies give their tables. */

import type { PlanEntry, PlanTable } from '../compiler/plan.js';
import { formatDuration } from '../net/duration.js';
import { formatPrefix } from '../net/prefix.js';
import { rangePrefixes } from '../net/ranges.js';
import { calmly } from './calmly.js';
import { families } from './entries/live-table.js';
import { PrefixTrie } from './entries/trie.js';
import type { PlanChange } from './policy-control.js';
import { sameEntries } from './same-entries.js';

/** Entries that are told one by one; of more, their number is told. */
const entriesToldMost = 100;

export async function entriesDiff(before: readonly PlanTable[], after: readonly PlanTable[]): Promise<PlanChange[]> {
  const old = new Map(before.map((table) => [table.name, table]));
  const changes: PlanChange[] = [];
  for (const table of after) {
    const was = old.get(table.name);
    if (was !== undefined && words(was) !== words(table)) {
      const { name, origin } = table;
      changes.push({
        action: 'change',
        kind: 'table',
        name: `<${name}>`,
        text: `${words(was)} → ${words(table)}`,
        origin,
      });
    }
    if (!(await sameEntries(was?.entries ?? [], table.entries)))
      changes.push(...(await tableDiff(table.name, was?.entries ?? [], table.entries)));
  }
  return changes;
}

/** What a table says beside its entries and its sets. */
function words({ timeoutMs, backend }: PlanTable): string {
  return `${timeoutMs === undefined ? 'permanent' : `timeout ${formatDuration(timeoutMs)}`} ${backend}`;
}

async function tableDiff(
  table: string,
  before: readonly PlanEntry[],
  after: readonly PlanEntry[],
): Promise<PlanChange[]> {
  const [old, now] = [await indexed(before), await indexed(after)];
  return [...told('delete', table, old, now), ...told('add', table, now, old)];
}

type Index = Readonly<Record<4 | 6, PrefixTrie<PlanEntry>>>;

async function indexed(entries: readonly PlanEntry[]): Promise<Index> {
  const index: Index = { 4: new PrefixTrie(4), 6: new PrefixTrie(6) };
  await calmly(entries, (entry) => {
    for (const { family, value, length } of rangePrefixes(entry.range)) index[family].set(value, length, entry);
  });
  return index;
}

/** Entries of one side that the other hasn't. */
function told(action: 'add' | 'delete', table: string, side: Index, other: Index): PlanChange[] {
  const changes: PlanChange[] = [];
  let more = 0;
  for (const family of families) {
    for (const { value, length, of } of side[family]) {
      if (other[family].get(value, length)?.not === of.not) continue;
      if (changes.length === entriesToldMost) more++;
      else {
        const text = `${of.not ? 'not ' : ''}${formatPrefix({ family, value, length })}`;
        changes.push({ action, kind: 'entry', name: `<${table}>`, text, origin: of.origin });
      }
    }
  }
  if (more > 0) changes.push({ action, kind: 'entry', name: `<${table}>`, text: `… and ${more} more` });
  return changes;
}
