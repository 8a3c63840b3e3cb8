/** Who may come in because of a knock. */

import { PosternError } from '../errors.js';
import type { Address, Prefix } from '../net/address.js';
import type { KnockRecord } from '../wire/pknock-proc.js';
import type { Source } from './tables.js';

/** `sequence`: ports in the right order, which the kernel follows; `spa`: a signed datagram; `spa2`: one of a named client. */
export type KnockMeans = 'sequence' | 'spa' | 'spa2';

/** A port that a client may come in at. */
export interface DoorPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** Reads `tcp/22`. @throws PosternError `invalid` */
export function parseDoorPort(text: string): DoorPort {
  const [, protocol, number] = /^(tcp|udp)\/([1-9][0-9]{0,4})$/.exec(text) ?? [];
  const port = Number(number);
  if (protocol === undefined || port > 65_535) {
    throw new PosternError('invalid', `'${text}' is no port of a door: write it as tcp/22 or udp/51820`);
  }
  return { protocol: protocol as DoorPort['protocol'], port };
}

/** `tcp/22` */
export const formatDoorPort = ({ protocol, port }: DoorPort): string => `${protocol}/${port}`;

export interface Grant {
  readonly knock: string;
  /** Who may come in: an address, or, where the policy allows it, a network. */
  readonly source: Prefix;
  /** Where; absent: wherever the policy lets those in who have knocked. */
  readonly ports?: readonly DoorPort[];
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
  /** The grant of exactly this source. */
  find(knock: string, source: Prefix): Promise<Grant | undefined>;
  /** What /proc/net/xt_pknock/NAME of the original tells. */
  records(knock: string): Promise<KnockRecord[]>;
  /** Lets a source in, for the knock's own time or a shorter one. @throws PosternError `denied` for a prefix that the policy doesn't allow */
  grant(knock: string, source: Prefix, as?: GrantAs): Promise<Grant>;
  /** Takes down that the kernel has let a source in. */
  noticed(knock: string, address: Address): Promise<void>;
  /** Answers whether the source could come in. Connections that are open stay open where the policy accepts known ones. */
  revoke(knock: string, source: Prefix, by: Source): Promise<boolean>;
}

export interface GrantAs {
  readonly by: KnockMeans;
  readonly client?: string;
  readonly durationMs?: number;
  readonly ports?: readonly DoorPort[];
}

export interface KnockEvent {
  readonly what: 'granted' | 'revoked' | 'expired';
  readonly knock: string;
  /** An address or a prefix. */
  readonly address: string;
  /** With `expired`: how it was granted. */
  readonly by: KnockMeans | Source['kind'];
  readonly client?: string;
  readonly ports?: readonly string[];
  readonly until?: number;
}
