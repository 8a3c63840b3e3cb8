/** After a start: entries that are in the kernel and nowhere else become entries of the table again. */

import type { ElementState, Kernel } from '../kernel/kernel.js';
import type { Family, Prefix } from '../net/address.js';
import { hostPrefix } from '../net/prefix.js';
import { rangePrefixes, subtractRanges } from '../net/ranges.js';
import type { Clock } from './clock.js';
import { elementPiece } from './entries/element.js';
import type { Piece } from './entries/flatten.js';
import { families, type LiveTable } from './entries/live-table.js';
import { TableChange } from './entries/table-change.js';
import type { Terms } from './entries/terms.js';
import type { Source } from './tables.js';

export interface AdoptOptions {
  readonly kernel: Pick<Kernel, 'dump'>;
  readonly clock: Clock;
  /** Sets that are in the kernel. */
  readonly present: (set: number) => boolean;
  /** Is the entry known to have been deleted? Then the kernel is behind, and the entry doesn't come back. */
  readonly wasDeleted: (table: string, prefix: Prefix) => boolean;
}

const fromKernel: Source = { kind: 'import', id: 'kernel' };

/** Fills the table from its sets. Answers what was new, for the store; the kernel isn't changed. */
export async function adopt(table: LiveTable, options: AdoptOptions): Promise<TableChange> {
  const { kernel, clock, present } = options;
  const change = new TableChange(table, fromKernel);
  for (const family of families) {
    const { hosts, prefixes } = table.sets[family];
    for (const set of hosts.filter(present)) adoptHosts(change, family, await kernel.dump(set), options);
    const pieces: Piece[] = [];
    for (const set of prefixes.filter(present)) {
      for (const element of await kernel.dump(set)) pieces.push(elementPiece(element, clock.steady()));
    }
    if (table.entries[family].nested) for (const piece of pieces) adoptNested(change, family, piece, options);
    else adoptPieces(change, family, pieces, options);
  }
  return change;
}

function adoptHosts(
  change: TableChange,
  family: Family,
  elements: readonly ElementState[],
  options: AdoptOptions,
): void {
  const now = options.clock.steady();
  for (const element of elements) {
    const piece = elementPiece(element, now);
    put(change, hostPrefix({ family, value: piece.first }), piece, element.timeoutMs, options);
  }
}

/** Where the kernel holds entries as they are. */
function adoptNested(change: TableChange, family: Family, piece: Piece, options: AdoptOptions): void {
  for (const prefix of rangePrefixes({ family, first: piece.first, last: piece.last })) {
    put(change, prefix, piece, undefined, options);
  }
}

/** Of a piece that isn't ours as it is, the addresses that aren't in the table yet. */
function adoptPieces(change: TableChange, family: Family, found: readonly Piece[], options: AdoptOptions): void {
  const own = new Map(change.table.entries[family].prefixPieces().map((piece) => [piece.first, piece.last]));
  const foreign = found
    .filter((piece) => own.get(piece.first) !== piece.last)
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  const ranges = (pieces: Iterable<readonly [bigint, bigint]>) =>
    Array.from(pieces, ([first, last]) => ({ family, first, last }));
  const unknown = subtractRanges(ranges(foreign.map(({ first, last }) => [first, last] as const)), ranges(own));
  let at = 0;
  for (const range of unknown) {
    while (foreign[at]!.last < range.first) at++;
    for (let next = at; next < foreign.length && foreign[next]!.first <= range.last; next++) {
      const piece = foreign[next]!;
      const part = { family, first: max(range.first, piece.first), last: min(range.last, piece.last) };
      for (const prefix of rangePrefixes(part)) put(change, prefix, piece, undefined, options);
    }
  }
}

function put(
  change: TableChange,
  prefix: Prefix,
  { until, comment, not }: Piece,
  timeoutMs: number | undefined,
  { clock, wasDeleted }: AdoptOptions,
): void {
  if (change.table.get(prefix) !== undefined || wasDeleted(change.table.name, prefix)) return;
  const terms: Terms = {
    not: not === true,
    expires: until,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(comment !== undefined && { comment }),
    source: fromKernel,
    addedAt: clock.wall(),
    request: 0,
  };
  change.put(prefix, terms);
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
