/** What a pftabled datagram asks for, or why it is refused. Pure; nothing is remembered here. */

import type { Prefix } from '../../net/address.js';
import { prefixOf } from '../../net/prefix.js';
import type { Validity } from '../../store/store.js';
import type { HmacSha1 } from '../../wire/hmac-sha1.js';
import { decodePftabled, isSignedPftabled, pftabledCommands, pftabledMark } from '../../wire/pftabled.js';

/** Seconds that a client's clock may differ, in either direction; the original's bound. */
const clockToleranceS = 60;

export interface PftabledRules {
  /** Absent: digests aren't looked at. */
  readonly key?: HmacSha1;
  /** Tables that clients may change. */
  readonly tables: ReadonlySet<string>;
  /** Every request goes to this table, whatever it names. */
  readonly force?: string;
}

export const pftabledRefusals = {
  size: 'not 64 bytes long',
  version: 'wrong protocol version',
  clock: 'wrong timestamp',
  digest: 'wrong authentication',
  command: 'unknown command',
  table: 'unknown table, or none that clients may change',
  mask: 'no such prefix',
} as const;

export type PftabledRefusal = keyof typeof pftabledRefusals;

export interface PftabledRequest {
  readonly command: keyof typeof pftabledCommands;
  readonly table: string;
  /** Undefined for a flush. */
  readonly prefix: Prefix | undefined;
  /** When the clock check takes it; the same for every copy. */
  readonly valid: Validity;
  /** The same for every copy of this request and for no other. */
  readonly mark: Buffer;
}

/**
 * Checks a datagram in the original's order: size, version, clock, digest, then what it asks for. Whether it came
 * before is for the caller to find out, by its mark. The datagram may be overwritten afterwards.
 */
export function verifyPftabled(
  datagram: Buffer,
  nowMs: number,
  rules: PftabledRules,
): PftabledRequest | PftabledRefusal {
  const message = decodePftabled(datagram);
  if (message === undefined) return 'size';
  const { version, command, timestamp } = message;
  if (version !== 1 && version !== 2) return 'version';
  const nowS = Math.floor(nowMs / 1000);
  // Clients send 32 bits of their clock, so the difference counts modulo 2^32.
  const aheadS = (timestamp - nowS) | 0;
  if (Math.abs(aheadS) > clockToleranceS) return 'clock';
  const { key } = rules;
  if (key !== undefined && !isSignedPftabled(datagram, key)) return 'digest';
  const table = rules.force ?? message.table;
  const word = commandWords[command];
  if (word === undefined) return 'command';
  if (!rules.tables.has(table) && rules.force === undefined) return 'table';
  // 198.51.100.255/0 is undefined in the original; banning everybody for it would be the worst reading.
  const mask = version === 1 ? 32 : message.mask;
  if (word !== 'flush' && (mask > 32 || (mask === 0 && message.address !== 0))) return 'mask';
  const sentS = nowS + aheadS;
  return {
    command: word,
    table,
    prefix: word === 'flush' ? undefined : prefixOf({ family: 4, value: BigInt(message.address) }, mask),
    valid: { from: (sentS - clockToleranceS) * 1000, until: (sentS + clockToleranceS + 1) * 1000 },
    mark: pftabledMark(datagram, key !== undefined),
  };
}

const commandWords: Readonly<Record<number, keyof typeof pftabledCommands>> = Object.fromEntries(
  Object.entries(pftabledCommands).map(([word, number]) => [number, word as keyof typeof pftabledCommands]),
);
