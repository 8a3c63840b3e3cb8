/**
 * The seam between the engine and the kernel. What crosses it is a compiled plan, or manifest indexes with keys and
 * expiries; never a name and never text that a client chose, so that it can become a process boundary.
 * The real kernel is behind `openKernel`, the fake behind `fakeKernel`; one suite of behaviour runs on both.
 */

import type { Manifest, Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { Address } from '../net/address.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { FlowMark } from '../wire/conntrack-flows.js';

/** Index of a set in the manifest; ipsets follow the sets of nf_tables. */
export type SetIndex = number;
/** Index of a named object in the manifest. */
export type ObjectIndex = number;

/**
 * An element's key in the kernel's form: each part of a concatenation padded to 4 bytes.
 * In an interval set `keyEnd` is the inclusive upper bound.
 */
export interface ElementKey {
  readonly key: Uint8Array;
  readonly keyEnd?: Uint8Array;
}

export type ElementChange =
  | ({
      readonly op: 'add';
      readonly set: SetIndex;
      /** Absent: permanent. Re-adding an element gives it this timeout. */
      readonly timeoutMs?: number;
      /** UTF-8, at most 127 bytes. */
      readonly comment?: string;
      /** Maps: the value's bytes in the kernel's form. What is in the map keeps its value: delete it before. */
      readonly data?: Uint8Array;
      /** hash:net of ipset: an exception from wider prefixes. */
      readonly nomatch?: boolean;
    } & ElementKey)
  /** No error when the element isn't there. */
  | ({ readonly op: 'delete'; readonly set: SetIndex } & ElementKey)
  | { readonly op: 'flush'; readonly set: SetIndex };

export type Addition = Extract<ElementChange, { op: 'add' }>;

export interface ElementState extends ElementKey {
  readonly timeoutMs?: number;
  readonly expiresMs?: number;
  readonly packets?: bigint;
  readonly bytes?: bigint;
  readonly comment?: string;
  readonly nomatch?: boolean;
  /** The quota of an element that has one of its own; told of elements that are read alone or over `LiveSets`. */
  readonly limitBytes?: bigint;
  readonly usedBytes?: bigint;
}

/** Additions to sets that aren't there yet, asked for one set after the other; sets that are there are left alone. */
export type BulkContents = ReadonlyMap<SetIndex, () => Promise<Iterable<ElementChange>>>;

export interface ObjectState {
  readonly packets?: bigint;
  readonly bytes?: bigint;
  /** Quotas. */
  readonly limitBytes?: bigint;
  readonly usedBytes?: bigint;
}

/** Nobody knows whether the transaction came to pass: the program that made it was stopped, or crashed. */
export class InterruptedLoad extends PosternError {}

/** One transaction of another process that touched our tables. */
export interface Drift {
  /** Tables, chains, rules, set definitions or objects were added or deleted. */
  readonly structure: boolean;
  /** Sets whose elements were added or deleted by hand, in the order of their indexes. */
  readonly sets: readonly SetIndex[];
  /** Who it was, for people: `nft (process 4711)`. */
  readonly by: string;
}

export interface DriftWatcher {
  changed(drift: Drift): void;
  /** What happened was missed: anything may have changed. */
  resync(reason: string): void;
}

export interface Kernel {
  /** Dry run in the kernel (`nft -c`): throws what `load` would throw, changes nothing. */
  check(plan: Plan, previous: Manifest | undefined): Promise<void>;
  /**
   * Brings our tables to the plan in one transaction; does nothing when that is what is loaded. Contents of sets without
   * `elements`, counters, quotas and timeouts stay; a set with another name but the same role takes over the contents
   * of the one before. What else is in our tables, and tables that only `previous` has, is deleted; nothing else is
   * touched. Indexes mean the plan's manifest when this resolves: hold back other calls until then.
   * @param contents of sets that aren't there yet, so that no packet meets rules without the entries they look for
   * @param bulk the same for contents of any number, by the plan's indexes: written before the rules are
   * @throws PosternError `kernel`, with the policy line that caused it; nothing has changed then. InterruptedLoad.
   */
  load(plan: Plan, previous: Manifest | undefined, contents?: Contents, bulk?: BulkContents): Promise<void>;
  /** The manifest whose indexes the calls below mean, after a start without a load. */
  adopt(manifest: Manifest): Promise<void>;
  /** What is in the tables of the manifest that was loaded or adopted, as the kernel has it now. */
  present(): Promise<Presence>;

  /**
   * One transaction: all or nothing.
   * @param options `bulk`: part of a big job, which urgent changes of other sets overtake
   * @throws PosternError `full`, `kernel`.
   */
  change(changes: readonly ElementChange[], options?: { readonly bulk?: boolean }): Promise<void>;
  /**
   * Ipsets only: the set holds exactly these elements afterwards, and until then what it held, never anything between.
   * @throws PosternError `full`, `kernel`, `busy`.
   */
  replace(set: SetIndex, elements: Iterable<Addition>): Promise<void>;
  /** Ipsets of the manifest that are there as they should be, with their number of elements. */
  ipsets(): Promise<ReadonlyMap<string, number>>;
  /** One element without listing the set. */
  get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined>;
  /** All elements, without duplicates. `reset` also zeroes their counters; no count is lost or read twice. */
  dump(set: SetIndex, options?: { readonly reset?: boolean }): Promise<ElementState[]>;
  object(object: ObjectIndex, options?: { readonly reset?: boolean }): Promise<ObjectState>;
  /**
   * Changes how many bytes a quota allows in all. What was used stays used, or, with `reset`, no longer counts: packets
   * between the two steps find the old use under the new bound.
   */
  allow(object: ObjectIndex, limitBytes: bigint, options?: { readonly reset?: boolean }): Promise<void>;

  /** Deletes the conntrack entries of connections from (or to) an address; answers how many, where the kernel tells. */
  killStates(address: Address): Promise<void>;
  /** Sets bits of a connection's mark. @throws PosternError `not-found` when there is no such connection (any more). */
  markConnection(connection: FlowMark): Promise<void>;
  /**
   * Tells, until the answered function is called, of what others commit to the tables of the manifest that was loaded or
   * adopted. Expiring elements, and those that packets add, raise nothing.
   * @throws PosternError `system`
   */
  watch(watcher: DriftWatcher): () => void;
  close(): Promise<void>;
}
