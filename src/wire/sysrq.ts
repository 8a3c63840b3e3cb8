/**
 * The request datagram of xt_SYSRQ.
 *
 *     KEYS "," SEQNO "," SALT "," DIGEST [anything]
 *
 * | Field  | Form |
 * |--------|------|
 * | KEYS   | one byte a key, any byte but a comma; may be empty |
 * | SEQNO  | text in which the decimal digits are the number, modulo 2^64 |
 * | SALT   | any bytes but a comma; may be empty |
 * | DIGEST | lower-case hex of a hash over everything up to and with the third comma, then [ADDRESS ","], then the password |
 *
 * ADDRESS is the destination of the datagram and is signed since xtables-addons 1.37; 1.32 to 1.36 sign without it.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Address } from '../net/address.js';

export type SysrqHash = 'sha1' | 'sha256' | 'sha512' | 'md5';

export interface SysrqRequest {
  readonly keys: Buffer;
  readonly sequence: bigint;
  /** The part of the datagram that is signed: up to and with the third comma. */
  readonly signed: Buffer;
  /** The digest and what follows it. */
  readonly tail: Buffer;
}

const comma = 0x2c;
/** The original keeps 64 bytes with the NUL. */
const passwordBytes = 63;

/** Takes a datagram apart; undefined when it lacks a comma or ends with the third. */
export function decodeSysrq(datagram: Buffer): SysrqRequest | undefined {
  const first = datagram.indexOf(comma);
  const second = first < 0 ? -1 : datagram.indexOf(comma, first + 1);
  const third = second < 0 ? -1 : datagram.indexOf(comma, second + 1);
  if (third < 0 || third === datagram.length - 1) return undefined;
  return {
    keys: datagram.subarray(0, first),
    sequence: decimalDigits(datagram.subarray(first + 1, second)),
    signed: datagram.subarray(0, third + 1),
    tail: datagram.subarray(third + 1),
  };
}

export interface SysrqSecret {
  readonly password: string;
  readonly hash: SysrqHash;
  /** The destination, where it is signed. */
  readonly destination?: Address;
}

/** A datagram as the documented shell recipe makes it, with its newline. */
export function encodeSysrq(keys: string, sequence: bigint, salt: string, secret: SysrqSecret): Buffer {
  const signed = Buffer.from(`${keys},${sequence},${salt},`);
  return Buffer.concat([signed, Buffer.from(`${sysrqDigest(signed, secret)}\n`)]);
}

export type DigestVerdict = 'good' | 'short' | 'bad';

/** Compares in constant time; what follows the digest doesn't matter. */
export function verifySysrqDigest(request: SysrqRequest, secret: SysrqSecret): DigestVerdict {
  const expected = Buffer.from(sysrqDigest(request.signed, secret));
  if (request.tail.length < expected.length) return 'short';
  return timingSafeEqual(request.tail.subarray(0, expected.length), expected) ? 'good' : 'bad';
}

/** A password as the module keeps it: up to the first NUL or newline, at most 63 bytes. */
export function sysrqPassword(file: Buffer): string {
  const text = file.subarray(0, passwordBytes).toString('latin1');
  return text.split(/[\0\n]/, 1)[0]!;
}

function sysrqDigest(signed: Buffer, { password, hash, destination }: SysrqSecret): string {
  const digest = createHash(hash).update(signed);
  if (destination !== undefined) digest.update(`${signedAddress(destination)},`);
  return digest.update(Buffer.from(password, 'latin1')).digest('hex');
}

/** IPv4 dotted; IPv6 as eight groups of four digits, nothing shortened. */
function signedAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  return value.toString(16).padStart(32, '0').match(/.{4}/g)!.join(':');
}

function decimalDigits(text: Buffer): bigint {
  const digits = text.toString('latin1').replace(/[^0-9]/g, '');
  return digits === '' ? 0n : BigInt.asUintN(64, BigInt(digits));
}
