/** What an entry says beyond its prefix. Entries that were added together share it. */

import type { Source } from '../tables.js';

export interface Terms {
  readonly not: boolean;
  /** On the steady clock; Infinity: never. */
  readonly expires: number;
  /** As it was asked for; absent: permanent. */
  readonly timeoutMs?: number;
  readonly comment?: string;
  readonly source: Source;
  /** Milliseconds since the epoch. */
  readonly addedAt: number;
  /** Number of the request that brought it: later requests have higher ones. */
  readonly request: number;
  /** Of a policy's entry: the live entry of the same prefix, which comes back when the policy gives its own up. */
  readonly beneath?: Terms;
}

/** Do they say the same, as one request does of all its entries? */
export function sameTerms(a: Terms | undefined, b: Terms | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return (
    a.request === b.request &&
    a.expires === b.expires &&
    a.addedAt === b.addedAt &&
    a.not === b.not &&
    a.timeoutMs === b.timeoutMs &&
    a.comment === b.comment &&
    a.source.kind === b.source.kind &&
    a.source.id === b.source.id &&
    sameTerms(a.beneath, b.beneath)
  );
}

/** Does the entry stand in the policy? Such entries are permanent and only a policy changes them. */
export function isPolicy(terms: Terms): boolean {
  return terms.source.kind === 'policy';
}

/** What of an entry others than the policy have said. */
export function livePart(terms: Terms | undefined): Terms | undefined {
  return terms !== undefined && isPolicy(terms) ? terms.beneath : terms;
}
