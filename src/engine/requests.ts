/** What a request for one entry means for a table, under the rule that the policy's own entries are the policy's. */

import { PosternError } from '../errors.js';
import type { Prefix } from '../net/address.js';
import { formatPrefix, isHost } from '../net/prefix.js';
import type { LiveTable } from './entries/live-table.js';
import type { TableChange } from './entries/table-change.js';
import { isPolicy, type Terms } from './entries/terms.js';
import { type ChangeCount, type Entry, nothingChanged, type Source } from './tables.js';

export type Outcome = keyof ChangeCount;

/** Counts outcomes. */
export class Tally {
  readonly count: Record<Outcome, number> = { ...nothingChanged };

  note(outcome: Outcome): void {
    this.count[outcome]++;
  }
}

/** Where entries are put: a change that is told to others, or a table that is filled in memory alone. */
export type Putting = Pick<TableChange, 'table' | 'put'>;

/** Adds an entry, or gives it new terms. */
export function addLive(
  change: Putting,
  prefix: Prefix,
  terms: Terms,
  now: number,
  current = change.table.get(prefix),
): Outcome {
  if (current !== undefined && isPolicy(current)) {
    if (current.not !== terms.not) return 'refused';
    change.put(prefix, { ...current, beneath: terms });
    return 'unchanged';
  }
  if (current === undefined || current.expires <= now) {
    change.put(prefix, terms);
    return 'added';
  }
  if (saysTheSame(current, terms)) return 'unchanged';
  change.put(prefix, terms);
  return 'changed';
}

/** Deletes what others than the policy have said of a prefix. */
export function deleteLive(change: Putting, prefix: Prefix, now: number, current = change.table.get(prefix)): Outcome {
  if (current === undefined) return 'unchanged';
  if (isPolicy(current)) {
    if (current.beneath !== undefined) change.put(prefix, withoutBeneath(current));
    return 'refused';
  }
  change.put(prefix, undefined);
  return current.expires <= now ? 'unchanged' : 'deleted';
}

/** Puts an entry of the policy over whatever stands there. */
export function addPolicy(change: Putting, prefix: Prefix, terms: Terms): void {
  const current = change.table.get(prefix);
  const beneath = current !== undefined && isPolicy(current) ? current.beneath : current;
  change.put(prefix, beneath === undefined ? terms : { ...terms, beneath });
}

/** Takes an entry of the policy away; the live one beneath comes back. */
export function deletePolicy(change: Putting, prefix: Prefix, now: number): void {
  const current = change.table.get(prefix);
  if (current === undefined || !isPolicy(current)) return;
  const { beneath } = current;
  change.put(prefix, beneath !== undefined && beneath.expires > now ? beneath : undefined);
}

function withoutBeneath({ beneath: _, ...policy }: Terms): Terms {
  return policy;
}

/** A permanent entry that is added once more as it is. */
function saysTheSame(a: Terms, b: Terms): boolean {
  return (
    a.not === b.not &&
    a.comment === b.comment &&
    a.expires === Number.POSITIVE_INFINITY &&
    b.expires === Number.POSITIVE_INFINITY
  );
}

/** Of an element; the kernel keeps 255 bytes of user data, of which a comment gets half. */
const longestCommentBytes = 127;
/** A hundred years. */
const longestTimeoutMs = 100 * 366 * 24 * 3_600_000;

/**
 * Reads what a request says of an entry; entries that say the same share the answer.
 * @throws PosternError `invalid`.
 */
export function termsReader(
  table: LiveTable,
  source: Source,
  now: { readonly steady: number; readonly wall: number },
  request: number,
): (entry: Entry) => Terms {
  let last: { readonly entry: Entry; readonly terms: Terms } | undefined;
  const { ipset } = table.plan;
  return (entry) => {
    if (ipset !== undefined && ipset !== 'hash:net') checkSingle(table, entry);
    if (last !== undefined && sameTerms(last.entry, entry)) return last.terms;
    const { not = false, timeoutMs = table.plan.timeoutMs ?? 0, comment } = entry;
    checkTimeout(timeoutMs, entry.prefix);
    if (comment !== undefined) checkComment(comment, entry.prefix);
    const terms: Terms = {
      not,
      expires: timeoutMs === 0 ? Number.POSITIVE_INFINITY : now.steady + timeoutMs,
      ...(timeoutMs !== 0 && { timeoutMs }),
      ...(comment !== undefined && { comment }),
      source,
      addedAt: now.wall,
      request,
    };
    last = { entry, terms };
    return terms;
  };
}

function checkSingle({ name, plan }: LiveTable, { prefix, not }: Entry): void {
  if (isHost(prefix) && !not) return;
  throw new PosternError(
    'invalid',
    `${formatPrefix(prefix)}: table ${name} is an ipset of type ${plan.ipset}, which holds single addresses; for prefixes and exceptions take type hash:net`,
  );
}

function sameTerms(a: Entry, b: Entry): boolean {
  return a.not === b.not && a.timeoutMs === b.timeoutMs && a.comment === b.comment;
}

function checkTimeout(timeoutMs: number, prefix: Prefix): void {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs <= longestTimeoutMs) return;
  throw new PosternError(
    'invalid',
    `${formatPrefix(prefix)}: ${timeoutMs} ms is no timeout; it is a whole number up to a hundred years, 0 for permanent`,
  );
}

function checkComment(comment: string, prefix: Prefix): void {
  const isPlain = [...comment].every((char) => char >= ' ' && char !== '"' && char !== '\u007f');
  if (isPlain && Buffer.byteLength(comment) <= longestCommentBytes) return;
  throw new PosternError(
    'invalid',
    `${formatPrefix(prefix)}: its comment must be at most ${longestCommentBytes} bytes, without " and control characters`,
  );
}
