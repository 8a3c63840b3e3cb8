/**
 * The single packet authorization payload of xt_pknock.
 *
 * | Offset | Size | Field |
 * |--------|------|-------|
 * | 0      | 64   | HMAC-SHA256 in lower-case hex; the key is the secret |
 * | 64     | 1    | anything; the tools send a newline |
 *
 * Message of the HMAC: 4 bytes source address in network order, then the minute (Unix time / 60, rounded down) as
 * 32 bits little-endian. The original takes IPv4 only; for IPv6 the 16 bytes of the address stand in its place.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Address } from '../net/address.js';

export const spaBytes = 65;
const digestDigits = 64;

/** The minute that a payload made at this time carries. */
export function spaMinute(unixMs: number): number {
  return Math.floor(unixMs / 60_000);
}

export function encodeSpa(secret: Buffer, source: Address, minute: number): Buffer {
  return Buffer.from(`${spaDigest(secret, source, minute)}\n`);
}

/** Whether the payload was made with this secret, for this source, in this minute; in constant time. */
export function verifySpa(payload: Buffer, secret: Buffer, source: Address, minute: number): boolean {
  if (payload.length !== spaBytes) return false;
  return timingSafeEqual(payload.subarray(0, digestDigits), Buffer.from(spaDigest(secret, source, minute)));
}

/** In lower-case hex. It is the same for all datagrams of a source in a minute. */
export function spaDigest(secret: Buffer, source: Address, minute: number): string {
  const addressBytes = source.family === 4 ? 4 : 16;
  const message = Buffer.alloc(addressBytes + 4);
  message.write(source.value.toString(16).padStart(addressBytes * 2, '0'), 'hex');
  message.writeUInt32LE(minute >>> 0, addressBytes);
  return createHmac('sha256', secret).update(message).digest('hex');
}
