/** Makes the kernel's sets hold what a table says, whatever happened to them. */

import type { ElementChange, ElementState, Kernel, SetIndex } from '../kernel/kernel.js';
import { oneAhead } from '../kernel/one-ahead.js';
import type { Family } from '../net/address.js';
import type { Committer } from '../store/committer.js';
import { calmly } from './calmly.js';
import type { Clock } from './clock.js';
import { addElement, deleteElement, elementPiece, type Tier } from './entries/element.js';
import type { Piece } from './entries/flatten.js';
import { families, type LiveTable, piecesIn, piecesOf, tiers } from './entries/live-table.js';
import type { Gate } from './gate.js';
import { inChunks } from './table-writer.js';

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
  const { gate, notice } = options;
  return gate.close(async () => {
    await notice(table);
    let different = 0;
    for (const family of families) {
      for (const tier of tiers) {
        const sets = table.sets[family][tier];
        if (sets.length === 0) continue;
        const all = piecesOf(table, family, tier);
        for (const [shard, set] of sets.entries()) {
          const pieces = piecesIn({ family, tier, ...(sets.length > 1 && { shard }) }, all);
          different += await reconcileSet({ set, family, tier, nested: table.entries[family].nested }, pieces, options);
        }
      }
    }
    return different;
  });
}

interface OwnSet {
  readonly set: SetIndex;
  readonly family: Family;
  readonly tier: Tier;
  readonly nested: boolean;
}

async function reconcileSet(
  { set, family, tier, nested }: OwnSet,
  pieces: Iterable<Piece>,
  { kernel, committer, clock }: ReconcileOptions,
): Promise<number> {
  const found = await kernel.dump(set);
  const now = clock.steady();
  const add = (piece: Piece) => addElement(set, family, tier, piece, now);
  // Nothing to compare with, and nothing to be kept at hand: what is next is made while the kernel takes the last.
  if (found.length === 0) return commitAll(committer, mapped(pieces, add));
  const { wrong, missing } = await compare(pieces, found, now, nested);
  await commitAll(
    committer,
    mapped(wrong, (piece) => deleteElement(set, family, tier, piece)),
  );
  await commitAll(committer, mapped(missing, add));
  return wrong.length + missing.length;
}

function* mapped(pieces: Iterable<Piece>, change: (piece: Piece) => ElementChange | undefined) {
  for (const piece of pieces) {
    const made = change(piece);
    if (made !== undefined) yield made;
  }
}

/** In parts that are a transaction each. Answers how many there were. */
async function commitAll(committer: Committer, elements: Iterable<ElementChange>): Promise<number> {
  let count = 0;
  await oneAhead(inChunks(elements), (chunk) => {
    count += chunk.length;
    return committer.commit([], chunk, { bulk: true });
  });
  return count;
}

/** What the set has and shouldn't, and what it should and hasn't, or with another time. Gives way to others meanwhile. */
export async function compare(
  expected: Iterable<Piece>,
  found: readonly ElementState[],
  now: number,
  nested = false,
): Promise<{ readonly wrong: readonly Piece[]; readonly missing: readonly Piece[] }> {
  // By first address: neither side overlaps itself, unless pieces nest.
  const place = ({ first, last }: Piece) => (nested ? (first << 128n) | last : first);
  const left = new Map<bigint, Piece>();
  await calmly(found, (element) => {
    const piece = elementPiece(element, now);
    left.set(place(piece), piece);
  });
  const missing: Piece[] = [];
  await calmly(expected, (piece) => {
    const there = left.get(place(piece));
    const isThere = there?.last === piece.last;
    if (isThere) left.delete(place(piece));
    if (piece.until <= now) return;
    if (!isThere || there.not !== piece.not || !sameTime(there.until, piece.until)) missing.push(piece);
  });
  return { wrong: [...left.values()], missing };
}

function sameTime(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) < toleranceMs;
}
