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
}

export interface TableSummary {
  readonly name: string;
  readonly timeoutMs?: number;
  readonly size: number;
  readonly hosts: number;
  readonly prefixes: number;
  /** May sources other than the policy change it? A table whose entries stand in the policy can still be added to. */
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
 */
export interface Tables {
  list(): TableSummary[];
  add(table: string, entries: readonly Entry[], source: Source): Promise<ChangeCount>;
  delete(table: string, prefixes: readonly Prefix[], source: Source): Promise<ChangeCount>;
  /** The table holds exactly these entries afterwards; never a moment without either the old or the new. */
  replace(table: string, entries: readonly Entry[], source: Source): Promise<ChangeCount>;
  flush(table: string, source: Source): Promise<ChangeCount>;
  /** In address order; a snapshot that isn't disturbed by changes. */
  show(table: string): Iterable<EntryView>;
  test(table: string, address: Address): TestResult;
}
