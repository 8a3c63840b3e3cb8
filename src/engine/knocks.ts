/** Who may come in because of a knock. */

import type { Address } from '../net/address.js';
import type { KnockRecord } from '../wire/pknock-proc.js';
import type { Source } from './tables.js';

/** `sequence`: ports in the right order, which the kernel follows; `spa`: a signed datagram; `spa2`: one of a named client. */
export type KnockMeans = 'sequence' | 'spa' | 'spa2';

export interface Grant {
  readonly knock: string;
  readonly address: Address;
  readonly by: KnockMeans;
  /** Who signed, with `spa2`. */
  readonly client?: string;
  /** Milliseconds since the epoch; absent when the source came in while nobody took notes. */
  readonly at?: number;
  /** Milliseconds since the epoch; absent: for ever. */
  readonly until?: number;
}

/** All methods throw PosternError: `not-found` (no such knock), `full`, `kernel`. What was acknowledged is in kernel and store. */
export interface Knocks {
  names(): readonly string[];
  /** Who may come in now, as the kernel has it. Of all knocks when none is named. */
  list(knock?: string): Promise<Grant[]>;
  has(knock: string, address: Address): Promise<boolean>;
  /** What /proc/net/xt_pknock/NAME of the original tells. */
  records(knock: string): Promise<KnockRecord[]>;
  /** Lets a source in, for the knock's own time or a shorter one. */
  grant(knock: string, address: Address, as?: GrantAs): Promise<Grant>;
  /** Takes down that the kernel has let a source in. */
  noticed(knock: string, address: Address): Promise<void>;
  /** Answers whether the source could come in. Connections that are open stay open where the policy accepts known ones. */
  revoke(knock: string, address: Address, source: Source): Promise<boolean>;
}

export interface GrantAs {
  readonly by: KnockMeans;
  readonly client?: string;
  readonly durationMs?: number;
}

export interface KnockEvent {
  readonly what: 'granted' | 'revoked';
  readonly knock: string;
  readonly address: string;
  readonly by: KnockMeans | Source['kind'];
  readonly client?: string;
  readonly until?: number;
}
