/**
 * Durable state. Everything is in memory, packed; the disk holds a journal of registers and a snapshot that bounds it.
 * `openStore` is the real one; over `memoryDisk` it is the fake. One suite of behaviour runs on both.
 *
 * Why a journal of our own and not LMDB: all reads are served from memory, so that of a database only its log would be
 * used. Measured with lmdb 3 (synced commits, the same records, 2 cores, ext4; the middle of three runs):
 *
 * |                                                    | journal     | lmdb                                            |
 * |----------------------------------------------------|-------------|-------------------------------------------------|
 * | durable changes a second, 256 under way            | 117,000     | 73,000                                          |
 * | durable changes a second, one after the other      | 1,120       | 1,030                                           |
 * | 100,000 entries from disk into memory              | 280 ms      | 484 ms                                          |
 * | disk for an entry                                  | 25 bytes    | 67 bytes                                        |
 * | 64 bytes overwritten somewhere, then read, written | told, set   | process killed (SIGSEGV, SIGABRT) 15 times of   |
 * |                                                    | aside; all  | 60, error and nothing more read or written 43   |
 * |                                                    | other       | times, unnoticed twice: pages have no check     |
 * |                                                    | records kept| sum                                             |
 */

import type { Prefix } from '../net/address.js';
import type { TableDigest } from './digest.js';
import type { EntryRegister, Json, Origin, Register, Space } from './register.js';

/** A wish: the store stamps it and makes registers of it. */
export type Draft =
  | {
      readonly kind: 'entry';
      readonly op: 'add';
      readonly table: string;
      /** All get the same terms. */
      readonly prefixes: readonly Prefix[];
      readonly not?: boolean;
      /** Milliseconds since the epoch; absent: permanent. */
      readonly expiresAt?: number;
      readonly comment?: string;
      readonly origin: Origin;
    }
  | {
      readonly kind: 'entry';
      readonly op: 'delete';
      readonly table: string;
      readonly prefixes: readonly Prefix[];
      readonly origin: Origin;
    }
  | { readonly kind: 'flush'; readonly table: string; readonly origin: Origin }
  | {
      readonly kind: 'value';
      readonly space: Space;
      readonly key: string;
      /** Absent: delete. */
      readonly value?: Json;
      readonly expiresAt?: number;
      /** For the audit log; absent: bookkeeping that nobody asked for. */
      readonly origin?: Origin;
    };

/** An entry that is in force: added, not expired, not flushed. */
export type LiveEntry = EntryRegister & { readonly op: 'add' };

export interface KeptValue {
  readonly value: Json;
  /** Milliseconds since the epoch; absent: never. */
  readonly expiresAt?: number;
}

export interface Store {
  /** This node's name in the registers it writes. */
  readonly node: string;
  status(): StoreStatus;

  /**
   * Writes one change: all of it or nothing, even across a crash. In memory at once (calls take effect in their order),
   * durable when the promise resolves, in the order of the calls; calls that are under way together share one sync.
   * Answers the function that takes the change back, as a further change, wherever no later one came in between.
   * @throws PosternError `full` (a bound of the store; nothing was changed), `invalid`.
   */
  write(drafts: readonly Draft[]): Promise<Revoke>;
  /**
   * Asked when a write of a signed request has resolved, whose mark was written before it.
   * @throws PosternError `system` while what is written is in memory only.
   */
  requireDurable(): void;
  /** A change that is made in several parts, because it is large: after a crash all of them are kept, or none. */
  request(): StoreRequest;
  /** Joins registers as they are: import, migration, another node. Returns how many of them won. */
  join(registers: Iterable<Register>): Promise<number>;

  /** Tables that have entries. */
  tables(): string[];
  /** Entries in force, in no order. One that stays while this runs is seen once; one that comes or goes, at most once. */
  entries(table: string): Iterable<LiveEntry>;
  entry(table: string, prefix: Prefix): LiveEntry | undefined;
  /** What the store's last word about a prefix is, also when that is `delete` or expired; flushed counts as unknown. */
  lastWord(table: string, prefix: Prefix): EntryRegister | undefined;
  /** Every register, to copy or to export; a stream that tolerates changes while it runs (join makes it right). */
  registers(): Iterable<Register>;
  /** Digest of a table as fleets compare it; entries that expire by `expiredBy` (ms since the epoch) don't count. */
  digest(table: string, salt: string, expiredBy: number): TableDigest;

  /** What is kept and has not expired. */
  value(space: Space, key: string): KeptValue | undefined;
  values(space: Space): Iterable<readonly [key: string, KeptValue]>;

  replayWindow(protocol: string): ReplayWindow;
  sequence(name: string): Sequence;

  /**
   * Looks whether the wall clock was stepped; then expiries move with it, so that what is left of each entry stays.
   * Answers by how many ms it was. After a step backwards entries may be in force again that the kernel has let go.
   */
  watchClock(): number;
  /** What is done now and then, by a timer of the store's own: a step of sweeping, a look at the size of the journal. */
  tick(): void;
  close(): Promise<void>;
}

export type Revoke = () => Promise<void>;

export interface StoreRequest {
  /** As `Store.write`. */
  write(drafts: readonly Draft[]): Promise<Revoke>;
  /** Everything is written that belongs to it; to be called whatever happened, else the journal can't be ended. */
  done(): Promise<void>;
}

/** Guards a signed protocol without counters: a message is taken once. */
export interface ReplayWindow {
  /**
   * Answers whether the message is new. Decided in the order of calls; when the answer is true it is on disk.
   * A message that could have been taken before the store was lost (damaged, set aside) is not new.
   * @param mark a digest over the whole message; its first 16 bytes count
   * @throws PosternError `busy` at the bound, `system` when it can't be made durable: the message must be refused then.
   */
  admit(mark: Uint8Array, valid: Validity): Promise<boolean>;
  /**
   * As `admit`, decided at once and on disk later: what is written to the same store afterwards is there no sooner, so
   * that a change which waits for the disk (CommitOptions.signed) waits for the mark, too.
   */
  take(mark: Uint8Array, valid: Validity): boolean;
}

/** When the protocol's own clock check takes a message, both a function of the message alone; ms since the epoch. */
export interface Validity {
  readonly from: number;
  /** The first moment at which it is refused. */
  readonly until: number;
}

/** Guards a signed protocol with a counter: each number is greater than all before. */
export interface Sequence {
  readonly current: bigint | undefined;
  /** True when the number is new, and then it is on disk. Throws as `ReplayWindow.admit`. */
  advance(number: bigint): Promise<boolean>;
}

export interface StoreStatus {
  /** `memory`: the disk can't be written; changes take effect and are lost with the process. */
  readonly mode: 'durable' | 'memory';
  /** Why it isn't durable, or what was found and set aside at start; for people. */
  readonly notices: readonly string[];
  readonly entries: number;
  readonly tombstones: number;
  readonly marks: number;
  readonly journalBytes: number;
  readonly snapshotBytes: number;
  /** Syncs so far, and how long the slowest recent one took. */
  readonly syncs: number;
  readonly slowestSyncMs: number;
}
