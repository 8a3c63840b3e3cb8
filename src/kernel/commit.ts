/**
 * Group commit: element changes of all sources become few transactions. A caller is answered when the kernel has its
 * changes; a call that the kernel refuses fails alone. Pure but for the transaction and the timer it is given.
 *
 * Whoever comes while nothing is under way is committed at once; whoever comes meanwhile, or soon after, shares the
 * next transaction.
 */

import { asPosternError, type ErrorCode, PosternError } from '../errors.js';
import type { ElementChange, ElementKey, SetIndex } from './kernel.js';
import type { RefusedChange } from './nf.js';

export interface GroupCommit {
  /**
   * One call is all or nothing. Calls for the same set take effect in their order; of several changes to one element
   * the last counts.
   * @throws PosternError `busy` (the queue is full: nothing was done), `invalid`, `full`, `kernel`.
   */
  commit(changes: readonly ElementChange[], options?: CommitCallOptions): Promise<void>;
  /** Resolves when everything that was asked for is answered. */
  idle(): Promise<void>;
  readonly counts: CommitCounts;
}

export interface CommitCallOptions {
  /**
   * Part of a big job: what is urgent for other sets overtakes it. Ask for some 2,000 changes at a time and wait for
   * the answer, so that nobody waits for more than one such part.
   */
  readonly bulk?: boolean;
}

export interface CommitCounts {
  transactions: number;
  elements: number;
  /** Changes that a later change to the same element made needless. */
  superseded: number;
  /** Calls that were refused. */
  refused: number;
  /** Transactions that had to be repeated, whole or by parts. */
  repeated: number;
}

export interface CommitEdge {
  transact(
    changes: readonly ElementChange[],
    options?: { readonly separate?: boolean },
  ): Promise<readonly RefusedChange[]>;
  /** Throws PosternError `invalid` or `not-found` for a change that can't be sent. */
  validate(changes: readonly ElementChange[]): void;
  /** Milliseconds from any start. */
  now(): number;
  later(delayMs: number, run: () => void): void;
}

/** Changes are gathered no longer than this, and no more than so many go into one transaction. */
const GATHER_MS = 2;
const GATHER_ELEMENTS = 2_000;
/** Changes that may wait. */
const QUEUE_ELEMENTS = 500_000;
/** How often a transaction whose result is unknown is sent again; every change may be applied twice. */
const UNKNOWN_ATTEMPTS = 3;

/** Up to so many changes of several calls each has a message of its own from the start. */
const SEPARATE_CHANGES = 64;
/** Transactions that one group may cost when the kernel goes on refusing. */
const MAX_ATTEMPTS = 64;

interface Call {
  readonly changes: readonly ElementChange[];
  readonly sets: ReadonlySet<SetIndex>;
  readonly resolve: () => void;
  readonly reject: (error: PosternError) => void;
}

export function groupCommit(edge: CommitEdge): GroupCommit {
  return new Queue(edge);
}

class Queue implements GroupCommit {
  readonly counts: CommitCounts = { transactions: 0, elements: 0, superseded: 0, refused: 0, repeated: 0 };
  #urgent: Call[] = [];
  #bulk: Call[] = [];
  /** Was the last transaction of the urgent ones? Then a big job may go on, else it would never end under load. */
  #bulkIsNext = false;
  #waiting = 0;
  #scheduled = false;
  #running = false;
  #lastEndedAt = Number.NEGATIVE_INFINITY;
  #idle: (() => void)[] = [];

  constructor(private readonly edge: CommitEdge) {}

  async commit(changes: readonly ElementChange[], { bulk = false }: CommitCallOptions = {}): Promise<void> {
    if (changes.length === 0) return;
    this.edge.validate(changes);
    if (this.#waiting > 0 && this.#waiting + changes.length > QUEUE_ELEMENTS) {
      throw new PosternError('busy', `${this.#waiting} element changes are waiting for the kernel; try again later`);
    }
    this.#waiting += changes.length;
    return new Promise((resolve, reject) => {
      const sets = setsOf(changes);
      const behindBulk = bulk || this.#bulk.some((call) => changes.some(({ set }) => call.sets.has(set)));
      (behindBulk ? this.#bulk : this.#urgent).push({ changes, sets, resolve, reject });
      this.#schedule();
    });
  }

  idle(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #schedule(): void {
    if (this.#running) return;
    if (this.#waiting >= GATHER_ELEMENTS) this.#start();
    if (this.#running || this.#scheduled) return;
    this.#scheduled = true;
    // Right after a transaction more is likely on its way: waiting a little saves the next ones.
    const sinceLast = this.edge.now() - this.#lastEndedAt;
    this.edge.later(sinceLast < GATHER_MS ? GATHER_MS - sinceLast : 0, () => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    if (this.#running || this.#waiting === 0) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const calls = this.#next();
    await this.#settle(calls);
    for (const { changes } of calls) this.#waiting -= changes.length;
    this.#lastEndedAt = this.edge.now();
    this.#running = false;
    if (this.#waiting > 0) this.#schedule();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }

  #next(): readonly Call[] {
    const bulk = this.#bulk.length > 0 && (this.#bulkIsNext || this.#urgent.length === 0);
    this.#bulkIsNext = !bulk;
    const [calls, left] = takeCalls(bulk ? this.#bulk : this.#urgent);
    if (bulk) this.#bulk = left;
    else this.#urgent = left;
    return calls;
  }

  /**
   * Answers every call. Refused ones are taken out and the rest is tried again; when the kernel doesn't say whom it
   * refused, the calls are halved. `budget` bounds the attempts: a kernel that takes nothing is not asked forever.
   */
  async #settle(calls: readonly Call[], budget = { attempts: MAX_ATTEMPTS }): Promise<void> {
    let left = calls;
    // In few messages refusals can be told apart at once, in many the common case comes first; a call alone is to blame.
    let separate = calls.length > 1 && changeCount(calls) <= SEPARATE_CHANGES;
    while (left.length > 0) {
      budget.attempts--;
      const result = await this.#attempt(left, separate);
      if (result.done) return resolveAll(left);
      this.counts.repeated++;
      if (result.refused !== undefined && (separate || left.length === 1)) {
        const { refused } = result;
        this.#reject(refused);
        left = left.filter((call) => !refused.has(call));
      } else if (result.refused !== undefined) {
        separate = true;
      } else {
        return this.#halve(left, result.error, budget);
      }
    }
  }

  async #halve(calls: readonly Call[], error: PosternError, budget: { attempts: number }): Promise<void> {
    if (calls.length === 1 || budget.attempts <= 0 || !divisible.has(error.code)) {
      return this.#reject(new Map(calls.map((call) => [call, error])));
    }
    const half = calls.length >> 1;
    await this.#settle(calls.slice(0, half), budget);
    await this.#settle(calls.slice(half), budget);
  }

  #reject(refused: ReadonlyMap<Call, PosternError>): void {
    this.counts.refused += refused.size;
    for (const [call, error] of refused) call.reject(error);
  }

  async #attempt(calls: readonly Call[], separate: boolean): Promise<Attempt> {
    const merged = mergeCalls(calls);
    this.counts.transactions++;
    try {
      const refused = await this.#transact(merged.changes, separate);
      this.counts.superseded += merged.superseded;
      if (refused.length > 0) return { done: false, refused: owners(merged, refused) };
      this.counts.elements += merged.changes.length;
      return { done: true };
    } catch (error) {
      return { done: false, error: asPosternError(error) };
    }
  }

  /** Additions, deletions and flushes give the same result when they are done twice. */
  async #transact(changes: readonly ElementChange[], separate: boolean): Promise<readonly RefusedChange[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.edge.transact(changes, { separate });
      } catch (error) {
        if (asPosternError(error).code !== 'busy' || attempt === UNKNOWN_ATTEMPTS) throw error;
        this.counts.repeated++;
      }
    }
  }
}

type Attempt =
  | { readonly done: true }
  /** The kernel named what it refuses. */
  | { readonly done: false; readonly refused: ReadonlyMap<Call, PosternError>; readonly error?: undefined }
  | { readonly done: false; readonly refused?: undefined; readonly error: PosternError };

/** Too large, refused as a whole, or the kernel is short of memory: fewer calls at once may pass. */
const divisible: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['full', 'kernel', 'busy']);

/** Whole calls from the front, some 2,000 changes, and what is left. */
function takeCalls(waiting: Call[]): [calls: Call[], left: Call[]] {
  let elements = 0;
  let count = 0;
  for (const { changes } of waiting) {
    if (count > 0 && elements + changes.length > GATHER_ELEMENTS) break;
    elements += changes.length;
    count++;
  }
  return [waiting.slice(0, count), waiting.slice(count)];
}

/** Mostly one, and then without a list of its own. */
function setsOf(changes: readonly ElementChange[]): ReadonlySet<SetIndex> {
  const sets = new Set<SetIndex>();
  for (const { set } of changes) sets.add(set);
  return sets;
}

function changeCount(calls: readonly Call[]): number {
  return calls.reduce((count, { changes }) => count + changes.length, 0);
}

function resolveAll(calls: readonly Call[]): void {
  for (const { resolve } of calls) resolve();
}

function owners(merged: Merged, refused: readonly RefusedChange[]): ReadonlyMap<Call, PosternError> {
  const found = new Map<Call, PosternError>();
  for (const { index, error } of refused) {
    const call = merged.ownerOf(index);
    if (call !== undefined && !found.has(call)) found.set(call, error);
  }
  return found;
}

interface Merged {
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
function mergeCalls(calls: readonly Call[]): Merged {
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
