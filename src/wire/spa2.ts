/**
 * Single packet authorization, version 2: signed with a key of the client's own. Numbers are big-endian.
 *
 * | Offset | Size | Field |
 * |--------|------|-------|
 * | 0      | 1    | version: 2 |
 * | 1      | 1    | what: 1 open, 2 close |
 * | 2      | 8    | client: the first bytes of the SHA-256 of its name |
 * | 10     | 16   | nonce, random |
 * | 26     | 8    | when it was made, ms since the epoch |
 * | 34     | 4    | for how many seconds; 0: as long as the knock grants |
 * | 38     | 1    | family of the address that is asked for: 4, 6; 0: the one that the datagram comes from |
 * | 39     | 16   | that address; IPv4 in the first 4 bytes; what isn't used is 0 |
 * | 55     | 32   | HMAC-SHA256 of bytes 0 to 54 and the name of the knock; the key is the client's |
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Address, addressBytes, addressFromBytes } from '../net/address.js';

export const spa2Bytes = 87;
export const spa2KeyBytes = 32;
const signedBytes = 55;
const at = { what: 1, client: 2, nonce: 10, when: 26, seconds: 34, family: 38, address: 39 } as const;
const clientBytes = 8;
const nonceBytes = 16;

export interface Spa2Request {
  readonly what: 'open' | 'close';
  /** `spa2ClientId` of its name. */
  readonly client: Buffer;
  /** 16 bytes. */
  readonly nonce: Buffer;
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
  /** 0: as long as the knock grants. */
  readonly seconds: number;
  /** Absent: the address that the datagram comes from. */
  readonly address?: Address;
}

export const spa2ClientId = (name: string): Buffer =>
  createHash('sha256').update(name).digest().subarray(0, clientBytes);

/** @param knock its name, which is signed too, so that a datagram for one door opens no other */
export function encodeSpa2(
  { what, client, nonce, madeAt, seconds, address }: Spa2Request,
  key: Buffer,
  knock: string,
): Buffer {
  const bytes = Buffer.alloc(spa2Bytes);
  bytes[0] = 2;
  bytes[at.what] = what === 'open' ? 1 : 2;
  client.copy(bytes, at.client, 0, clientBytes);
  nonce.copy(bytes, at.nonce, 0, nonceBytes);
  bytes.writeBigUInt64BE(BigInt(madeAt), at.when);
  bytes.writeUInt32BE(seconds, at.seconds);
  bytes[at.family] = address?.family ?? 0;
  if (address !== undefined) bytes.set(addressBytes(address), at.address);
  digestOf(bytes, key, knock).copy(bytes, signedBytes);
  return bytes;
}

/** Takes a datagram apart, unverified; undefined when it isn't one. */
export function decodeSpa2(bytes: Buffer): Spa2Request | undefined {
  if (bytes.length !== spa2Bytes || bytes[0] !== 2) return undefined;
  const what = bytes[at.what] === 1 ? 'open' : bytes[at.what] === 2 ? 'close' : undefined;
  const madeAt = Number(bytes.readBigUInt64BE(at.when));
  const family = bytes[at.family]!;
  if (what === undefined || !Number.isSafeInteger(madeAt) || ![0, 4, 6].includes(family)) return undefined;
  const length = family === 0 ? 0 : family === 4 ? 4 : 16;
  if (bytes.subarray(at.address + length, signedBytes).some((byte) => byte !== 0)) return undefined;
  return {
    what,
    client: Buffer.from(bytes.subarray(at.client, at.nonce)),
    nonce: Buffer.from(bytes.subarray(at.nonce, at.when)),
    madeAt,
    seconds: bytes.readUInt32BE(at.seconds),
    ...(family !== 0 && { address: addressFromBytes(bytes.subarray(at.address, at.address + length)) }),
  };
}

/** Whether the client made it, for this knock; in constant time. */
export function verifySpa2(bytes: Buffer, key: Buffer, knock: string): boolean {
  return bytes.length === spa2Bytes && timingSafeEqual(bytes.subarray(signedBytes), digestOf(bytes, key, knock));
}

/** What tells one datagram from all others: the digest that it carries. */
export const spa2Mark = (bytes: Buffer): Buffer => bytes.subarray(signedBytes);

const digestOf = (bytes: Buffer, key: Buffer, knock: string): Buffer =>
  createHmac('sha256', key).update(bytes.subarray(0, signedBytes)).update(knock).digest();
