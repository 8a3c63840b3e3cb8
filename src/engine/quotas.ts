/** Amounts of bytes or packets that rules use up. */

import type { Source } from './tables.js';

export interface QuotaState {
  readonly name: string;
  readonly unit: 'bytes' | 'packets';
  /** What it holds now. */
  readonly value: bigint;
  /** What it held at first, and holds after a reset. */
  readonly amount: bigint;
}

/** All methods throw PosternError: `not-found` (no such quota), `invalid` (beyond 2^53 - 1), `kernel`. */
export interface Quotas {
  names(): readonly string[];
  list(): Promise<QuotaState[]>;
  get(name: string): Promise<QuotaState>;
  /** Each answers what the quota holds then. Below nothing there is nothing. */
  set(name: string, value: bigint, source: Source): Promise<QuotaState>;
  add(name: string, amount: bigint, source: Source): Promise<QuotaState>;
  subtract(name: string, amount: bigint, source: Source): Promise<QuotaState>;
  /** Brings what rules look at to what was counted; it happens by itself within a tenth of a second. */
  follow(): Promise<void>;
  /** Back to what the policy says. */
  reset(name: string, source: Source): Promise<QuotaState>;
}

export interface QuotaEvent {
  readonly quota: string;
  readonly value: number;
  readonly unit: QuotaState['unit'];
  readonly source: Source;
}
