/**
 * Nested prefixes as the disjoint intervals of a kernel set. Each piece holds the addresses on which one entry decides,
 * so that entries which don't nest are elements as they are.
 *
 * A piece's time is how long its addresses stay in the table when the daemon does nothing: when the entry that decides
 * expires, the next wider one decides, and so on; the time ends at an exception or when nothing is left. So the kernel
 * alone ends every ban in time; an exception that expires while a wider ban goes on needs the daemon to fill the hole.
 */

import type { Terms } from './terms.js';
import type { TrieEntry } from './trie.js';

export interface Piece {
  readonly first: bigint;
  readonly last: bigint;
  /** On the steady clock; Infinity: never. */
  readonly until: number;
  readonly comment?: string;
  /** An exception from wider pieces, where pieces nest. */
  readonly not?: true;
}

interface Open {
  readonly terms: Terms;
  readonly last: bigint;
  readonly until: number;
}

/**
 * The pieces of the addresses from `first` to `last`.
 * @param outer terms of the entries that cover all of them, the widest first
 * @param inner entries within, in order
 */
export function flatten(
  first: bigint,
  last: bigint,
  outer: readonly Terms[],
  inner: Iterable<TrieEntry<Terms>>,
  bits: number,
): Piece[] {
  const pieces: Piece[] = [];
  const open: Open[] = [];
  let from = first;
  const enter = (terms: Terms, entryLast: bigint) => {
    const chain = [...open.map((entry) => entry.terms), terms];
    open.push({ terms, last: entryLast, until: inTableUntil(chain) });
  };
  /** The innermost open entry decides on what lies between `from` and `to`. */
  const decide = (to: bigint) => {
    const { until, terms } = open.at(-1)!;
    if (from <= to && until > Number.NEGATIVE_INFINITY) {
      pieces.push({ first: from, last: to, until, ...(terms.comment !== undefined && { comment: terms.comment }) });
    }
    from = to + 1n;
  };

  for (const terms of outer) enter(terms, last);
  for (const { value, length, of } of inner) {
    while (open.length > 0 && open.at(-1)!.last < value) {
      decide(open.at(-1)!.last);
      open.pop();
    }
    if (open.length > 0) decide(value - 1n);
    from = value;
    enter(of, value | ((1n << BigInt(bits - length)) - 1n));
  }
  while (open.length > 0) {
    decide(open.at(-1)!.last);
    open.pop();
  }
  return pieces;
}

/**
 * Until when an address stays in the table without a gap, when exactly these entries cover it, the widest first;
 * -Infinity when it isn't in. Depends on the entries alone, not on the time: what the kernel was told can be told again.
 */
function inTableUntil(covering: readonly Terms[]): number {
  let until = Number.NEGATIVE_INFINITY;
  for (let i = covering.length - 1; i >= 0; i--) {
    const { not, expires } = covering[i]!;
    if (expires <= until) continue;
    if (not) return until;
    until = expires;
  }
  return until;
}
