/** Do two policies give a table the same entries? Long lists mostly stay as they are, and looking is much cheaper than putting. */

import type { PlanEntry } from '../compiler/plan.js';

/** Entries that are compared before others get their turn. */
const entriesAtATime = 50_000;

export async function sameEntries(a: readonly PlanEntry[], b: readonly PlanEntry[]): Promise<boolean> {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) {
    if (at % entriesAtATime === entriesAtATime - 1) await new Promise(setImmediate);
    const [one, other] = [a[at]!, b[at]!];
    const sameRange =
      one.range.first === other.range.first &&
      one.range.last === other.range.last &&
      one.range.family === other.range.family;
    if (!sameRange || one.not !== other.not) return false;
  }
  return true;
}
