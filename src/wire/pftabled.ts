/**
 * The datagram of pftabled, 64 bytes over UDP, never answered.
 *
 * | Offset | Size | Field |
 * |--------|------|-------|
 * | 0      | 1    | version: 2 (1.06 and later) or 1 (1.04, 1.05) |
 * | 1      | 1    | command: 1 add, 2 delete, 3 flush |
 * | 2      | 1    | reserved, 0 |
 * | 3      | 1    | version 2: prefix length; version 1: reserved, always a host |
 * | 4      | 4    | IPv4 address, network order |
 * | 8      | 32   | table, padded with NULs; 32 characters have no NUL |
 * | 40     | 4    | seconds since the epoch, 32 bits, network order |
 * | 44     | 20   | HMAC-SHA1 of bytes 0–43, or zeros when unsigned |
 */

import { createHash } from 'node:crypto';
import { PosternError } from '../errors.js';
import { HmacSha1 } from './hmac-sha1.js';

export const pftabledBytes = 64;
/** Bytes of a key; a key file may hold more, which don't count. */
export const pftabledKeyBytes = 20;
/** Bytes of the table's field; pf itself takes one less. */
export const pftabledTableBytes = 32;

const commandAt = 1;
const maskAt = 3;
const addressAt = 4;
const tableAt = 8;
const timestampAt = 40;
const digestAt = 44;
const hostMask = 32;

export const pftabledCommands = { add: 1, delete: 2, flush: 3 } as const;

/** The fields as they stand in a datagram; none of them is checked. */
export interface PftabledMessage {
  readonly version: number;
  readonly command: number;
  /** Prefix length; without meaning in version 1. */
  readonly mask: number;
  /** IPv4 address as an unsigned integer of 32 bits. */
  readonly address: number;
  /** At most 32 bytes, one byte a character (Latin-1). */
  readonly table: string;
  /** Seconds since the epoch, modulo 2^32. */
  readonly timestamp: number;
}

/**
 * Takes the first 20 bytes of a key file; no byte is trimmed.
 * @throws PosternError `invalid` for a shorter file.
 */
export function pftabledKey(file: Uint8Array): HmacSha1 {
  if (file.length < pftabledKeyBytes) {
    throw new PosternError(
      'invalid',
      `a pftabled key has ${pftabledKeyBytes} bytes, this file has ${file.length}; make one with: head -c 20 /dev/urandom`,
    );
  }
  return new HmacSha1(file.subarray(0, pftabledKeyBytes), digestAt);
}

/** Writes a datagram and signs it; without a key its digest is zero. */
export function encodePftabled(message: PftabledMessage, key?: HmacSha1): Buffer {
  const datagram = Buffer.alloc(pftabledBytes);
  datagram[0] = message.version;
  datagram[commandAt] = message.command;
  datagram[maskAt] = message.mask;
  datagram.writeUInt32BE(message.address, addressAt);
  datagram.write(message.table, tableAt, pftabledTableBytes, 'latin1');
  datagram.writeUInt32BE(message.timestamp, timestampAt);
  if (key !== undefined) key.digest(datagram).copy(datagram, digestAt);
  return datagram;
}

/** Reads a datagram of 64 bytes; undefined when it has another length. */
export function decodePftabled(datagram: Buffer): PftabledMessage | undefined {
  if (datagram.length !== pftabledBytes) return undefined;
  return {
    version: datagram[0]!,
    command: datagram[commandAt]!,
    mask: datagram[maskAt]!,
    address: datagram.readUInt32BE(addressAt),
    table: tableOf(datagram),
    timestamp: datagram.readUInt32BE(timestampAt),
  };
}

/**
 * Whether the digest fits, in constant time. Of version 1 both forms are taken: signed as it stands (the clients of 1.05)
 * and signed as if byte 3 were 32, whatever it is (what a server of 1.06 and later checks, and the PHP client sends).
 */
export function isSignedPftabled(datagram: Buffer, key: HmacSha1): boolean {
  if (key.verify(datagram)) return true;
  if (datagram[0] !== 1 || datagram[maskAt] === hostMask) return false;
  const asHost = Buffer.from(datagram);
  asHost[maskAt] = hostMask;
  return key.verify(asHost);
}

/**
 * Names what a datagram asks for, so that it can be remembered: of a signed one its digest, since byte 3 of version 1 can
 * be changed without breaking it; of an unsigned one a digest over all that counts.
 */
export function pftabledMark(datagram: Buffer, signed: boolean): Buffer {
  if (signed) return Buffer.from(datagram.subarray(digestAt, pftabledBytes));
  return createHash('sha256').update(datagram.subarray(0, digestAt)).digest();
}

/** Up to the first NUL. */
function tableOf(datagram: Buffer): string {
  const field = datagram.subarray(tableAt, timestampAt);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? pftabledTableBytes : end);
}
