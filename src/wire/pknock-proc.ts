/**
 * A line of /proc/net/xt_pknock/NAME, with the blank that the original leaves at its end.
 *
 *     src=A.B.C.D proto=TCP|UDP status=MATCHING|ALLOWED accepted_knock_count=N [expir_time=N [secs] ][autoclose_time=N [secs] ]
 */

import type { Prefix } from '../net/address.js';
import { formatPrefix } from '../net/prefix.js';

export interface KnockRecord {
  readonly source: Prefix;
  readonly protocol: 'TCP' | 'UDP';
  readonly status: 'MATCHING' | 'ALLOWED';
  readonly count: number;
  /** Seconds until the next knock is late; with MATCHING. */
  readonly expiresInS?: number;
  /** Seconds until the door closes; absent when it doesn't. */
  readonly autocloseInS?: number;
}

export function pknockProcLine({ source, protocol, status, count, expiresInS, autocloseInS }: KnockRecord): string {
  const seconds = (name: string, left: number | undefined) =>
    left === undefined ? '' : `${name}=${Math.max(0, Math.floor(left))} [secs] `;
  const head = `src=${formatPrefix(source)} proto=${protocol} status=${status} accepted_knock_count=${count} `;
  return `${head}${seconds('expir_time', expiresInS)}${seconds('autoclose_time', autocloseInS)}\n`;
}
