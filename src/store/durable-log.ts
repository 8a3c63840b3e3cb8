/**
 * The journal with the snapshots that end it. When the disk can't be written it goes on without, says so, tries again every
 * few seconds, and begins anew with a snapshot of the whole state.
 */

import { asPosternError } from '../errors.js';
import type { Disk } from './disk.js';
import type { FrameToWrite, Head, Shift } from './frame.js';
import { Journal } from './journal.js';
import { storeFiles } from './load.js';
import type { Register } from './register.js';
import { pruneAside } from './set-aside.js';
import { writeSnapshot } from './snapshot.js';

export interface LogParts {
  readonly disk: Disk;
  /** The highest number of a file. */
  readonly number: number;
  /** Bytes in journals that no snapshot has ended. */
  readonly journalBytes: number;
  readonly snapshotBytes: number;
  /** A snapshot ends the journals when they hold so much more than the last one. */
  readonly journalBound: number;
  /** Head of a file that begins now. */
  readonly head: () => Head;
  /** The whole state. */
  readonly registers: () => Iterable<Register>;
  /** Files that a snapshot of what could be read of them replaces, and the names under which they stay. */
  readonly aside: ReadonlyMap<string, string>;
  readonly notify: (notice: string) => void;
  readonly steadyMs: () => number;
}

const retryEveryMs = 5_000;
const snapshotRetryMs = 60_000;

export class DurableLog {
  /** Why nothing is written at the moment, for people. */
  trouble: string | undefined;
  #journal: Journal | undefined;
  #number: number;
  /** Of journals before this one, less what a snapshot ended of it. */
  #otherJournalBytes: number;
  #snapshotBytes: number;
  #snapshot: Promise<boolean> | undefined;
  /** Counts the states that no earlier snapshot can describe. */
  #epoch = 0;
  #openRequests = 0;
  #quiet: (() => void)[] = [];
  #retryAtMs = Number.POSITIVE_INFINITY;
  #snapshotAtMs = 0;
  #syncs = 0;
  /** What the journal gathers, and what became of it. */
  #group: Promise<void> | undefined;
  #durable = Promise.resolve(true);

  constructor(private readonly parts: LogParts) {
    this.#number = parts.number;
    this.#otherJournalBytes = parts.journalBytes;
    this.#snapshotBytes = parts.snapshotBytes;
  }

  get status() {
    return {
      journalBytes: this.#otherJournalBytes + (this.#journal?.bytes ?? 0),
      snapshotBytes: this.#snapshotBytes,
      syncs: this.#syncs + (this.#journal?.syncs ?? 0),
      slowestSyncMs: this.#journal?.slowestSyncMs ?? 0,
    };
  }

  /** @throws PosternError `busy`: too much waits for the disk. */
  checkRoom(): void {
    this.#journal?.checkRoom();
  }

  /** Begins a journal of its own; a file that another process left is never written. */
  async start(shift?: Shift): Promise<void> {
    this.#journal = new Journal(this.parts.disk);
    await this.#begin(shift).catch((error) => this.#fail(error));
  }

  /**
   * Appends a frame, after `checkRoom`. Resolves true when it is durable, false when the disk can't be written; in the
   * order of the calls.
   */
  append(frame: FrameToWrite): Promise<boolean> {
    const journal = this.#journal;
    if (journal === undefined) {
      this.#durable = this.#durable.then(() => false);
      return this.#durable;
    }
    const group = journal.append(frame);
    // One promise for all of a group: there may be thousands.
    if (group !== this.#group) {
      this.#group = group;
      this.#durable = this.#settled(group, journal);
    }
    return this.#durable;
  }

  /** Resolves when everything that was appended so far is durable, or can't be. */
  get durable(): Promise<boolean> {
    return this.#durable;
  }

  async #settled(group: Promise<void>, journal: Journal): Promise<boolean> {
    try {
      await group;
      return true;
    } catch (error) {
      this.#fail(error, journal);
      return false;
    }
  }

  /** Keeps journals until the request is done: what it replaced stands only there. Answers what says that it is. */
  holdJournals(): () => void {
    this.#openRequests++;
    let open = true;
    return () => {
      if (open) this.#openRequests--;
      open = false;
      if (this.#openRequests === 0) for (const resolve of this.#quiet.splice(0)) resolve();
    };
  }

  /** The state was changed otherwise than by frames: a new journal begins with the shift, and a snapshot makes it hold. */
  restate(shift: Shift): void {
    if (this.#journal === undefined) return;
    this.#epoch++;
    this.#begin(shift).catch((error) => this.#fail(error));
    void this.snapshot();
  }

  /** Ends the journals so far by a snapshot, beside the running changes; false when that wasn't possible. */
  snapshot(): Promise<boolean> {
    this.#snapshot ??= this.#takeSnapshot().finally(() => {
      this.#snapshot = undefined;
    });
    return this.#snapshot;
  }

  /** To be called now and then: tries again after trouble, ends journals that are too long. */
  tick(): void {
    const now = this.parts.steadyMs();
    if (this.#journal === undefined) {
      if (now >= this.#retryAtMs) void this.#recover();
    } else if (this.status.journalBytes > this.parts.journalBound + this.#snapshotBytes && now >= this.#snapshotAtMs) {
      void this.snapshot();
    }
  }

  async close(): Promise<void> {
    await this.#snapshot;
    await this.#journal?.close();
    this.#journal = undefined;
  }

  #begin(shift?: Shift): Promise<void> {
    this.#number++;
    return this.#journal!.begin(this.#number, { ...this.parts.head(), ...(shift !== undefined && { shift }) });
  }

  async #takeSnapshot(): Promise<boolean> {
    for (;;) {
      const epoch = this.#epoch;
      try {
        return await this.#snapshotOf(epoch);
      } catch (error) {
        if (epoch !== this.#epoch) continue;
        this.#snapshotAtMs = this.parts.steadyMs() + snapshotRetryMs;
        this.parts.notify(
          `the state in ${this.parts.disk.path} can't be written anew (${asPosternError(error).message}); its journal grows until it can`,
        );
        return false;
      }
    }
  }

  /** @throws errors of the file system, and anything when the state was restated meanwhile. */
  async #snapshotOf(epoch: number): Promise<boolean> {
    const journal = this.#journal;
    if (journal === undefined) return false;
    while (this.#openRequests > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
    const endedBytes = journal.bytes;
    try {
      await this.#begin();
    } catch (error) {
      this.#fail(error, journal);
      return false;
    }
    const number = this.#number;
    const size = await writeSnapshot(this.parts.disk, number, this.parts.head(), this.#registersOf(epoch));
    this.#removeBefore(number);
    this.#snapshotBytes = size;
    this.#otherJournalBytes = -endedBytes;
    return true;
  }

  /** The registers, as long as they all are of one state. */
  *#registersOf(epoch: number): Generator<Register> {
    for (const register of this.parts.registers()) {
      if (epoch !== this.#epoch) throw new Error('the state was restated');
      yield register;
    }
  }

  #removeBefore(number: number): void {
    const { disk, aside } = this.parts;
    for (const { name } of storeFiles(disk).filter((file) => file.number < number)) {
      const other = aside.get(name);
      if (other === undefined) disk.remove(name);
      else disk.rename(name, other);
    }
    pruneAside(disk);
    disk.syncNames();
  }

  #fail(error: unknown, journal = this.#journal): void {
    if (journal === undefined || journal !== this.#journal) return;
    this.#syncs += journal.syncs;
    this.#otherJournalBytes += journal.bytes;
    this.#journal = undefined;
    void journal.close().catch(() => {});
    this.#retryAtMs = this.parts.steadyMs() + retryEveryMs;
    const reason = asPosternError(error).message;
    if (this.trouble === undefined) {
      this.parts.notify(
        `the state directory ${this.parts.disk.path} can't be written (${reason}): changes take effect and are not kept; make room or make it writable, it is tried again every ${retryEveryMs / 1000} s`,
      );
    }
    this.trouble = reason;
  }

  async #recover(): Promise<void> {
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    await this.start();
    const journal = this.#journal;
    if (journal === undefined) return;
    if (await this.snapshot()) {
      this.trouble = undefined;
      this.parts.notify(
        `the state directory ${this.parts.disk.path} can be written again; everything is kept from now on`,
      );
    } else {
      this.#fail(new Error(this.trouble), journal);
    }
  }
}
