/**
 * Single packet authorization, version 2: signed with a key of the client's own. Numbers are big-endian.
 *
 * | Offset | Size | Field of a request |
 * |--------|------|-------|
 * | 0      | 1    | version: 2 |
 * | 1      | 1    | what: 1 open, 2 close |
 * | 2      | 8    | client: the first bytes of the SHA-256 of its name |
 * | 10     | 16   | nonce, random |
 * | 26     | 8    | when it was made, ms since the epoch |
 * | 34     | 4    | for how many seconds; 0: as long as the knock grants |
 * | 38     | 1    | family of the address that is asked for: 4, 6; 0: the one that the datagram comes from |
 * | 39     | 1    | length of the prefix around it that is asked for; 0: that address alone |
 * | 40     | 16   | that address; IPv4 in the first 4 bytes; what isn't used is 0 |
 * | 56     | 32   | HMAC-SHA256 of bytes 0 to 55 and the name of the knock; the key is the client's |
 *
 * A reply is shorter than the request, which it names, so that nobody can use it against others:
 *
 * | Offset | Size | Field of a reply |
 * |--------|------|-------|
 * | 0      | 1    | version: 2 |
 * | 1      | 1    | what: 129 the door is open, 130 it is closed |
 * | 2      | 16   | the nonce of the request |
 * | 18     | 8    | until when it is open, ms since the epoch; 0: for ever, or closed |
 * | 26     | 32   | HMAC-SHA256 of bytes 0 to 25 and the name of the knock; the key is the client's |
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Address, addressBits, addressBytes, addressFromBytes } from '../net/address.js';

export const spa2Bytes = 88;
export const spa2ReplyBytes = 58;
export const spa2KeyBytes = 32;
const at = {
  what: 1,
  client: 2,
  nonce: 10,
  when: 26,
  seconds: 34,
  family: 38,
  prefix: 39,
  address: 40,
  mac: 56,
} as const;
const replyAt = { what: 1, nonce: 2, until: 18, mac: 26 } as const;
const clientBytes = 8;
export const spa2NonceBytes = 16;

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
  /** From 1: with all that have so many first bits in common with the address. Absent: the address alone. */
  readonly prefixLength?: number;
}

export const spa2ClientId = (name: string): Buffer =>
  createHash('sha256').update(name).digest().subarray(0, clientBytes);

/** @param knock its name, which is signed too, so that a datagram for one door opens no other */
export function encodeSpa2(
  { what, client, nonce, madeAt, seconds, address, prefixLength = 0 }: Spa2Request,
  key: Buffer,
  knock: string,
): Buffer {
  const bytes = Buffer.alloc(spa2Bytes);
  bytes[0] = 2;
  bytes[at.what] = what === 'open' ? 1 : 2;
  client.copy(bytes, at.client, 0, clientBytes);
  nonce.copy(bytes, at.nonce, 0, spa2NonceBytes);
  bytes.writeBigUInt64BE(BigInt(madeAt), at.when);
  bytes.writeUInt32BE(seconds, at.seconds);
  bytes[at.family] = address?.family ?? 0;
  bytes[at.prefix] = prefixLength;
  if (address !== undefined) bytes.set(addressBytes(address), at.address);
  macOf(bytes, at.mac, key, knock).copy(bytes, at.mac);
  return bytes;
}

/** Takes a datagram apart, unverified; undefined when it isn't one. */
export function decodeSpa2(bytes: Buffer): Spa2Request | undefined {
  if (bytes.length !== spa2Bytes || bytes[0] !== 2) return undefined;
  const what = bytes[at.what] === 1 ? 'open' : bytes[at.what] === 2 ? 'close' : undefined;
  const madeAt = Number(bytes.readBigUInt64BE(at.when));
  const family = bytes[at.family]!;
  const prefixLength = bytes[at.prefix]!;
  if (what === undefined || !Number.isSafeInteger(madeAt) || (family !== 0 && family !== 4 && family !== 6))
    return undefined;
  if (prefixLength > addressBits(family === 4 ? 4 : 6)) return undefined;
  const length = family === 0 ? 0 : family === 4 ? 4 : 16;
  if (bytes.subarray(at.address + length, at.mac).some((byte) => byte !== 0)) return undefined;
  return {
    what,
    client: Buffer.from(bytes.subarray(at.client, at.nonce)),
    nonce: Buffer.from(bytes.subarray(at.nonce, at.when)),
    madeAt,
    seconds: bytes.readUInt32BE(at.seconds),
    ...(family !== 0 && { address: addressFromBytes(bytes.subarray(at.address, at.address + length)) }),
    ...(prefixLength !== 0 && { prefixLength }),
  };
}

/** Whether the client made it, for this knock; in constant time. */
export function verifySpa2(bytes: Buffer, key: Buffer, knock: string): boolean {
  return bytes.length === spa2Bytes && timingSafeEqual(bytes.subarray(at.mac), macOf(bytes, at.mac, key, knock));
}

/** What tells one datagram from all others: the digest that it carries. */
export const spa2Mark = (bytes: Buffer): Buffer => bytes.subarray(at.mac);

export interface Spa2Reply {
  readonly what: 'open' | 'closed';
  /** Of the request. */
  readonly nonce: Buffer;
  /** Milliseconds since the epoch; absent: for ever, or closed. */
  readonly until?: number;
}

export function encodeSpa2Reply({ what, nonce, until = 0 }: Spa2Reply, key: Buffer, knock: string): Buffer {
  const bytes = Buffer.alloc(spa2ReplyBytes);
  bytes[0] = 2;
  bytes[replyAt.what] = what === 'open' ? 129 : 130;
  nonce.copy(bytes, replyAt.nonce, 0, spa2NonceBytes);
  bytes.writeBigUInt64BE(BigInt(until), replyAt.until);
  macOf(bytes, replyAt.mac, key, knock).copy(bytes, replyAt.mac);
  return bytes;
}

/** The reply, when it is one to this request and was made with this key for this knock; the MAC is compared in constant time. */
export function decodeSpa2Reply(bytes: Buffer, nonce: Buffer, key: Buffer, knock: string): Spa2Reply | undefined {
  if (bytes.length !== spa2ReplyBytes || bytes[0] !== 2) return undefined;
  if (!timingSafeEqual(bytes.subarray(replyAt.mac), macOf(bytes, replyAt.mac, key, knock))) return undefined;
  const what = bytes[replyAt.what] === 129 ? 'open' : bytes[replyAt.what] === 130 ? 'closed' : undefined;
  if (what === undefined || !bytes.subarray(replyAt.nonce, replyAt.until).equals(nonce)) return undefined;
  const until = Number(bytes.readBigUInt64BE(replyAt.until));
  if (!Number.isSafeInteger(until)) return undefined;
  return { what, nonce, ...(until !== 0 && { until }) };
}

const macOf = (bytes: Buffer, signedBytes: number, key: Buffer, knock: string): Buffer =>
  createHmac('sha256', key).update(bytes.subarray(0, signedBytes)).update(knock).digest();
