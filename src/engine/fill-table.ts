/** A table from nothing: the policy's entries and those that were kept on disk, in memory; and as elements of a ruleset. */

import type { PlanEntry, PlanTable } from '../compiler/plan.js';
import { rangePrefixes } from '../net/ranges.js';
import type { Element } from '../nft/model.js';
import type { LiveEntry } from '../store/store.js';
import { calmly } from './calmly.js';
import type { Clock } from './clock.js';
import { pieceElement } from './entries/element.js';
import type { Piece } from './entries/flatten.js';
import { families, type LiveTable, piecesIn, type TablePart } from './entries/live-table.js';
import { isPolicy, livePart, type Terms } from './entries/terms.js';
import { storedTerms } from './from-store.js';
import { type Replacing, replacement, type Wish } from './replace.js';
import { addLive, addPolicy, deletePolicy, type Outcome, type Putting } from './requests.js';
import type { Source } from './tables.js';

/** Fills an empty table, in memory alone. Gives way to others meanwhile. */
export async function fillTable(
  table: LiveTable,
  planned: PlanTable,
  stored: Iterable<LiveEntry>,
  clock: Clock,
): Promise<void> {
  const now = clock.steady();
  const filling = fillingOf(table);
  for (const chunk of await policyWishes(table, planned, clock.wall())) {
    for (const wish of chunk) putPolicy(filling, wish, now);
    await new Promise(setImmediate);
  }
  table.policyEntries = planned.entries;
  const toSteady = clock.steady() - clock.wall();
  await calmly(stored, (entry) => addLive(filling, entry.prefix, storedTerms(entry, toSteady), now));
}

/** Nobody is told: of a hundred thousand entries that would take as long as the rest. */
function fillingOf(table: LiveTable): Putting {
  return { table, put: ({ family, value, length }, terms) => void table.entries[family].put(value, length, terms) };
}

/** What was added to a table goes on in another, which holds it otherwise. */
export async function carryLive(from: LiveTable, to: LiveTable, clock: Clock): Promise<void> {
  const now = clock.steady();
  const filling = fillingOf(to);
  for (const family of families) {
    await calmly(from.entries[family].snapshot(), ({ value, length, of }) => {
      const live = livePart(of);
      if (live !== undefined && live.expires > now) addLive(filling, { family, value, length }, live, now);
    });
  }
}

/** What one of its sets holds, of `pieces` of its tier, as elements, each with the time that is left. */
export function partElements(part: TablePart, pieces: Iterable<Piece>, clock: Clock): Element[] {
  const now = clock.steady();
  const elements: Element[] = [];
  const { family } = part;
  for (const piece of piecesIn(part, pieces)) {
    const element = pieceElement(family, piece, now);
    if (element !== undefined) elements.push(element);
  }
  return elements;
}

export function policySource(planned: PlanTable): Source {
  return { kind: 'policy', id: planned.origin.file };
}

interface PolicyItem {
  readonly prefix: Wish['prefix'];
  readonly entry: PlanEntry;
}

/** What has to be done so that the policy's entries of the table are those of the plan. */
export function policyWishes(table: LiveTable, planned: PlanTable, wall: number): Promise<Iterable<readonly Wish[]>> {
  const shared = new Map<string, Terms>();
  const termsOf = ({ entry: { not, origin } }: PolicyItem): Terms => {
    const key = `${not} ${origin.file}`;
    const known = shared.get(key);
    if (known !== undefined) return known;
    const source: Source = { kind: 'policy', id: origin.file };
    const terms = { not, expires: Number.POSITIVE_INFINITY, source, addedAt: wall, request: 0 };
    shared.set(key, terms);
    return terms;
  };
  const replacing: Replacing<PolicyItem> = { items: prefixesOf(planned.entries), termsOf, owns: isPolicy };
  return replacement(table, replacing);
}

function* prefixesOf(entries: readonly PlanEntry[]): IterableIterator<PolicyItem> {
  for (const entry of entries) for (const prefix of rangePrefixes(entry.range)) yield { prefix, entry };
}

export function putPolicy(change: Putting, { prefix, terms }: Wish, now: number): Outcome {
  if (terms === undefined) deletePolicy(change, prefix, now);
  else addPolicy(change, prefix, terms);
  return 'changed';
}
