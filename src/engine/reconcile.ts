/** Makes the kernel's sets hold what a table says, whatever happened to them. */

import type { ElementChange, ElementState, Kernel } from '../kernel/kernel.js';
import type { Family } from '../net/address.js';
import type { Committer } from '../store/committer.js';
import type { Clock } from './clock.js';
import { addElement, deleteElement, elementPiece, type Tier } from './entries/element.js';
import type { Piece } from './entries/flatten.js';
import { families, type LiveTable, tiers } from './entries/live-table.js';
import type { Gate } from './gate.js';
import { chunkEntries, inChunks } from './table-writer.js';

export interface ReconcileOptions {
  readonly kernel: Pick<Kernel, 'dump'>;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly gate: Gate;
  /** Learns first what rules have added, so that it isn't taken for foreign. */
  readonly notice: (table: LiveTable) => Promise<void>;
}

/** Remaining times that differ by less are the same: the clocks of both sides start at different moments. */
const toleranceMs = 2_000;

/** Answers how many elements were missing, foreign, or of another time. Changes to tables wait meanwhile. */
export async function reconcile(table: LiveTable, options: ReconcileOptions): Promise<number> {
  const { kernel, committer, clock, gate, notice } = options;
  return gate.close(async () => {
    await notice(table);
    const deletes: ElementChange[] = [];
    const adds: ElementChange[] = [];
    for (const family of families) {
      for (const tier of tiers) {
        const set = table.sets[family][tier];
        if (set === undefined) continue;
        const found = await kernel.dump(set);
        const now = clock.steady();
        const { wrong, missing } = compare(expected(table, family, tier), found, now);
        deletes.push(...wrong.map((piece) => deleteElement(set, family, tier, piece)));
        for (const piece of missing)
          adds.push(...[addElement(set, family, tier, piece, now)].filter((add) => add !== undefined));
      }
    }
    for (const chunk of inChunks(deletes, chunkEntries)) await committer.commit([], chunk, { bulk: true });
    for (const chunk of inChunks(adds, chunkEntries)) await committer.commit([], chunk, { bulk: true });
    return deletes.length + adds.length;
  });
}

export function expected(table: LiveTable, family: Family, tier: Tier): Iterable<Piece> {
  const entries = table.entries[family];
  return tier === 'hosts' ? entries.hostPieces() : entries.prefixPieces();
}

/** What the set has and shouldn't, and what it should and hasn't, or with another time. */
export function compare(
  expected: Iterable<Piece>,
  found: readonly ElementState[],
  now: number,
): { readonly wrong: Piece[]; readonly missing: Piece[] } {
  const left = new Map(found.map((element) => [place(elementPiece(element, now)), elementPiece(element, now)]));
  const missing: Piece[] = [];
  for (const piece of expected) {
    const key = place(piece);
    const there = left.get(key);
    left.delete(key);
    if (piece.until <= now) continue;
    if (there === undefined || !sameTime(there.until, piece.until)) missing.push(piece);
  }
  return { wrong: [...left.values()], missing };
}

function place({ first, last }: Piece): string {
  return `${first.toString(36)}-${last.toString(36)}`;
}

function sameTime(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) < toleranceMs;
}
