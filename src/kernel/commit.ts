/**
 * Group commit: element changes of all sources become few transactions. A caller is answered when the kernel has its
 * changes; a call that the kernel refuses fails alone. Pure but for the transaction and the timer it is given.
 *
 * Whoever comes while nothing is under way is committed at once; whoever comes meanwhile, or soon after, shares the
 * next transaction.
 */

import { asPosternError, type ErrorCode, PosternError } from '../errors.js';
import { type Call, changeCount, type Merged, mergeCalls, setsOf } from './commit-calls.js';
import type { ElementChange } from './kernel.js';
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

/** Sends a transaction that is encoded already; once only. */
export type Send = () => Promise<readonly RefusedChange[]>;

export interface CommitEdge {
  /** Encodes a transaction. */
  prepare(changes: readonly ElementChange[], options?: { readonly separate?: boolean }): Send;
  /** Throws PosternError `invalid` or `not-found` for a change that can't be sent. */
  validate(changes: readonly ElementChange[]): void;
  /** Milliseconds from any start. */
  now(): number;
  later(delayMs: number, run: () => void): void;
  /** When what is under way has been sent. */
  afterwards(run: () => void): void;
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

/** The transaction of some calls. */
interface Ready {
  readonly calls: readonly Call[];
  readonly merged: Merged;
  readonly send: Send;
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
  /** What is next of a big job, encoded while the kernel has what is before it. */
  #ahead: Ready | undefined;
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
      if (behindBulk && this.#running) this.#encodeAheadSoon();
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
    if (this.#bulk.length > 0) this.#encodeAheadSoon();
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

  #encodeAheadSoon(): void {
    if (this.#ahead === undefined) this.edge.afterwards(() => this.#encodeAhead());
  }

  #encodeAhead(): void {
    if (!this.#running || this.#ahead !== undefined) return;
    const [calls, left] = takeCalls(this.#bulk);
    const count = changeCount(calls);
    // Others may still join a group that isn't full; a small one costs nothing to encode in its turn.
    if (count <= SEPARATE_CHANGES || (left.length === 0 && count < GATHER_ELEMENTS)) return;
    try {
      this.#ahead = this.#ready(calls);
    } catch {
      // Told to the callers in their turn.
    }
  }

  #takeAhead(calls: readonly Call[]): Ready | undefined {
    const ahead = this.#ahead;
    if (ahead === undefined || ahead.calls.length !== calls.length || ahead.calls[0] !== calls[0]) return undefined;
    this.#ahead = undefined;
    return ahead;
  }

  #ready(calls: readonly Call[], separate = false): Ready {
    const merged = mergeCalls(calls);
    return { calls, merged, send: this.edge.prepare(merged.changes, { separate }) };
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
    this.counts.transactions++;
    try {
      const ready = this.#takeAhead(calls) ?? this.#ready(calls, separate);
      const { merged } = ready;
      const refused = await this.#transact(ready, separate);
      this.counts.superseded += merged.superseded;
      if (refused.length > 0) return { done: false, refused: owners(merged, refused) };
      this.counts.elements += merged.changes.length;
      return { done: true };
    } catch (error) {
      return { done: false, error: asPosternError(error) };
    }
  }

  /** Additions, deletions and flushes give the same result when they are done twice. */
  async #transact({ merged, send }: Ready, separate: boolean): Promise<readonly RefusedChange[]> {
    for (let attempt = 1, next = send; ; attempt++, next = this.edge.prepare(merged.changes, { separate })) {
      try {
        return await next();
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
