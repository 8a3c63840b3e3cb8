/** Calls that share a transaction become one list of changes. Pure. */

import type { PosternError } from '../errors.js';
import type { ElementChange, ElementKey, SetIndex } from './kernel.js';

/** What one caller asked for, all or nothing, and whom to answer. */
export interface Call {
  readonly changes: readonly ElementChange[];
  readonly sets: ReadonlySet<SetIndex>;
  readonly resolve: () => void;
  readonly reject: (error: PosternError) => void;
}

/** Mostly one, and then without a list of its own. */
export function setsOf(changes: readonly ElementChange[]): ReadonlySet<SetIndex> {
  const sets = new Set<SetIndex>();
  for (const { set } of changes) sets.add(set);
  return sets;
}

export function changeCount(calls: readonly Call[]): number {
  return calls.reduce((count, { changes }) => count + changes.length, 0);
}

export interface Merged {
  readonly changes: readonly ElementChange[];
  /** The call that a change is of. */
  readonly ownerOf: (index: number) => Call | undefined;
  readonly superseded: number;
}

interface Owned {
  readonly change: ElementChange;
  readonly call: Call;
}

/** What is left to do in one set. */
class SetChanges {
  flush: Owned | undefined;
  readonly elements = new Map<string | number, Owned>();
}

/**
 * The last change to each element. Within a set what is deleted goes first: it makes room, and frees intervals that
 * additions would overlap.
 */
export function mergeCalls(calls: readonly Call[]): Merged {
  const [only] = calls;
  // A call alone is done in its own order.
  if (only !== undefined && calls.length === 1) return { changes: only.changes, ownerOf: () => only, superseded: 0 };
  const sets = new Map<SetIndex, SetChanges>();
  let given = 0;
  for (const call of calls) {
    given += call.changes.length;
    for (const change of call.changes) mergeChange(sets, { change, call });
  }
  const kept: Owned[] = [];
  for (const { flush, elements } of sets.values()) {
    if (flush !== undefined) kept.push(flush);
    for (const owned of elements.values()) {
      // A flushed set has nothing to delete.
      if (owned.change.op === 'delete' && flush === undefined) kept.push(owned);
    }
    for (const owned of elements.values()) if (owned.change.op === 'add') kept.push(owned);
  }
  return {
    changes: kept.map(({ change }) => change),
    ownerOf: (index) => kept[index]?.call,
    superseded: given - kept.length,
  };
}

function mergeChange(sets: Map<SetIndex, SetChanges>, owned: Owned): void {
  const { change } = owned;
  const set = sets.get(change.set) ?? new SetChanges();
  sets.set(change.set, set);
  if (change.op === 'flush') {
    set.flush = owned;
    set.elements.clear();
    return;
  }
  set.elements.set(identity(change), owned);
}

/** Keys of one set are all of one length, so that an IPv4 address can be its number. */
function identity({ key, keyEnd }: ElementKey): string | number {
  if (keyEnd !== undefined) return `${latin1(key)}-${latin1(keyEnd)}`;
  if (key.length !== 4) return latin1(key);
  return (
    (key[0] as number) * 0x100_0000 + (key[1] as number) * 0x1_0000 + (key[2] as number) * 0x100 + (key[3] as number)
  );
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
