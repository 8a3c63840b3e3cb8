/** Accounts at run time: per-IP packet and byte counts, as ACCOUNT and iptaccount have them, for both families. */

import type { Address, AddressRange } from '../net/address.js';

export interface Count {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** One address of an account: what it sent and what was sent to it. */
export interface AccountRow {
  readonly address: Address;
  readonly source: Count;
  readonly destination: Count;
}

export interface AccountReading {
  readonly account: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** In address order, IPv4 first; without addresses that have counted nothing. */
  readonly rows: readonly AccountRow[];
  /** Packets of addresses that found the account full; counted here and nowhere else. */
  readonly overflow: Count;
}

export interface AccountSummary {
  readonly name: string;
  readonly networks: readonly AddressRange[];
  /** Bound on addresses per family and direction. */
  readonly size: number;
}

/** An address's traffic per second over the last interval. */
export interface AccountRate {
  readonly address: Address;
  readonly source: { readonly packets: number; readonly bytes: number };
  readonly destination: { readonly packets: number; readonly bytes: number };
}

export interface AccountRates {
  readonly account: string;
  readonly at: number;
  readonly intervalMs: number;
  /** Busiest first; without addresses at rest. */
  readonly rates: readonly AccountRate[];
}

/** One time series; counts only grow while the engine lives, whoever flushes the account. */
export interface AccountSeries extends Count {
  readonly account: string;
  /** `other`: all addresses beyond the bound, together. `overflow`: packets that found the account full. */
  readonly ip: string;
  readonly direction: 'source' | 'destination' | 'any';
}

/** All methods throw PosternError: `not-found` (no such account), `kernel`. */
export interface Accounts {
  list(): AccountSummary[];
  /** What was counted since the last flush. */
  read(account: string): Promise<AccountReading>;
  /** Reads and zeroes; every packet is in exactly one reading. */
  flush(account: string): Promise<AccountReading>;
  /** Rates, once every interval, until the signal or the consumer ends it. Flushes by others don't disturb it. */
  watch(account: string, intervalMs: number, signal?: AbortSignal): AsyncIterable<AccountRates>;
  /** Of all accounts, a bounded number for each; their sum is everything that was counted. */
  series(): Promise<readonly AccountSeries[]>;
}
