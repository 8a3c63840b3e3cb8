/** Policy tables at run time: what every source of updates (CLI, REST, pftabled, knocks, scans, fleet) works on. */

import type { Address, Prefix } from '../net/address.js';
import type { Origin } from '../store/register.js';

/** Who asks; kept with the entry and written to the audit log. */
export type Source = Origin;

export interface Entry {
  readonly prefix: Prefix;
  /** An exception: addresses in it are not in the table, unless a longer prefix says so. */
  readonly not?: boolean;
  /** Absent: the table's own; 0: permanent. */
  readonly timeoutMs?: number;
  readonly comment?: string;
}

export interface EntryView extends Entry {
  /** Milliseconds since the epoch; absent: permanent. */
  readonly expiresAt?: number;
  readonly source: Source;
  readonly addedAt: number;
  readonly packets?: bigint;
  readonly bytes?: bigint;
}

export interface ChangeCount {
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  /** Already as asked. */
  readonly unchanged: number;
  /** Not done because the policy itself says otherwise of the same prefix: edit the policy to change it. */
  readonly refused: number;
}

export const nothingChanged: ChangeCount = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };

export interface TableSummary {
  readonly name: string;
  readonly timeoutMs?: number;
  /** Bound on hosts, and on prefixes, per family. */
  readonly size: number;
  readonly hosts: number;
  readonly prefixes: number;
  readonly backend: 'nft' | 'ipset';
}

export interface TestResult {
  readonly inTable: boolean;
  /** The entry that decides: the longest prefix that covers the address. */
  readonly entry?: EntryView;
}

/**
 * All methods throw PosternError: `not-found` (no such table), `invalid`, `full`, `kernel`. A change that was
 * acknowledged is in the kernel (and in the store, when there is one).
 *
 * Of one prefix there is one entry, with or without `not`; adding it again gives it the new timeout and comment. Of
 * all entries that cover an address the longest decides. What stands in the policy can't be changed here: an opposite
 * entry of the same prefix and the deletion of a policy's entry are counted as `refused`.
 */
export interface Tables {
  list(): Promise<TableSummary[]>;
  add(table: string, entries: readonly Entry[], source: Source): Promise<ChangeCount>;
  delete(table: string, prefixes: readonly Prefix[], source: Source): Promise<ChangeCount>;
  /**
   * The table holds exactly these entries and the policy's afterwards. No address that is in the table before and
   * after is ever out of it, none that is in neither is ever in it. Entries that others add meanwhile stay.
   */
  replace(table: string, entries: Iterable<Entry>, source: Source): Promise<ChangeCount>;
  /** Deletes all but the policy's own entries. */
  flush(table: string, source: Source): Promise<ChangeCount>;
  /** In address order, IPv4 first; a snapshot that isn't disturbed by changes. Counters come with tables that have them. */
  show(table: string): Promise<Iterable<EntryView>>;
  test(table: string, address: Address): Promise<TestResult>;
}
