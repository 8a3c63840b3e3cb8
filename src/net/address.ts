/** IPv4 and IPv6 addresses, prefixes and ranges as values that can't be wrong. */

import { invalid } from './text.js';

/** 4 or 6. */
export type Family = 4 | 6;

/** One address; `value` is the address read as an unsigned big-endian integer of 32 or 128 bits. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix; the bits of `value` below `length` are zero. A host is a prefix of full length. */
export interface Prefix {
  readonly family: Family;
  readonly value: bigint;
  readonly length: number;
}

/** All addresses from `first` to `last`, both included. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** Bits of an address: 32 or 128. */
export function addressBits(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The highest address of a family as a number. */
export function highestValue(family: Family): bigint {
  return (1n << BigInt(addressBits(family))) - 1n;
}

/**
 * Reads an IPv4 address (four decimal octets without leading zeros, RFC 6943 section 3.1.1 "strict") or an IPv6 address
 * (RFC 4291 section 2.2, without a zone). An IPv4-mapped address stays IPv6.
 * @throws PosternError `invalid`.
 */
export function parseAddress(text: string): Address {
  if (text.includes(':')) {
    if (text.includes('%')) {
      throw invalid(text, 'has a zone; write the address without it and name the interface in its own place');
    }
    const value = ipv6Value(text);
    if (value !== undefined) return { family: 6, value };
  } else {
    const value = ipv4Value(text);
    if (value !== undefined) return { family: 4, value: BigInt(value) };
  }
  throw invalid(text, 'is not an IP address; write it as 192.0.2.1 or 2001:db8::1');
}

/** Writes an address as nft and RFC 5952 do; IPv4-mapped ones with a dotted quad (RFC 5952 section 5). */
export function formatAddress(address: Address): string {
  return address.family === 4 ? formatIpv4(Number(address.value)) : formatIpv6(address.value);
}

/** The address in network order: 4 or 16 bytes. */
export function addressBytes(address: Address): Uint8Array {
  // Without a DataView, which would move every small array off the heap: lists of 100,000 come this way.
  if (address.family === 4) {
    const bytes = new Uint8Array(4);
    low64[0] = address.value;
    writeWord(bytes, 0, words[0]!);
    return bytes;
  }
  const bytes = new Uint8Array(16);
  for (let at = 8, rest = address.value; at >= 0; at -= 8, rest >>= 64n) {
    low64[0] = rest;
    writeWord(bytes, at, words[1]!);
    writeWord(bytes, at + 4, words[0]!);
  }
  return bytes;
}

/** A bigint cut into words this way takes a seventh of the time that Number() needs. */
const low64 = new BigInt64Array(1);
const words = new Int32Array(low64.buffer);

/**
 * Reads an address in network order.
 * @throws PosternError `invalid` unless there are 4 or 16 bytes.
 */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length === 4) return { family: 4, value: BigInt(readWord(bytes, 0)) };
  if (bytes.length === 16) {
    let value = 0n;
    for (let at = 0; at < 16; at += 4) value = (value << 32n) | BigInt(readWord(bytes, at));
    return { family: 6, value };
  }
  throw invalid(`${bytes.length} bytes`, 'are no IP address; it has 4 or 16');
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = (word >>> 16) & 0xff;
  bytes[at + 2] = (word >>> 8) & 0xff;
  bytes[at + 3] = word & 0xff;
}

function readWord(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Order of addresses: IPv4 first, then by value. Negative, 0 or positive. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

const dot = 0x2e;
const digitZero = 0x30;

/** The value of a strict dotted quad, or undefined. By character codes because lists of 100,000 lines come this way. */
function ipv4Value(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  let value = 0;
  let octets = 0;
  let octet = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? dot : text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || octets === 4) return undefined;
      value = value * 256 + octet;
      octets++;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = code - digitZero;
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return undefined;
    octet = octet * 10 + digit;
    digits++;
    if (octet > 255) return undefined;
  }
  return octets === 4 ? value : undefined;
}

const group = /^[0-9a-fA-F]{1,4}$/;

function ipv6Value(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? ipv6Groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const part of [...head, ...new Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(part);
  return value;
}

/** The groups of one side of `::`; a dotted quad may stand last, as two groups, where `mayEnd`. */
function ipv6Groups(text: string, mayEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  if (parts.length > 8) return undefined;
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (group.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = mayEnd && index === parts.length - 1 ? ipv4Value(part) : undefined;
    if (quad === undefined) return undefined;
    groups.push(Math.floor(quad / 0x1_0000), quad % 0x1_0000);
  }
  return groups;
}

function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

const mappedPrefix = 0xffffn;

function formatIpv6(value: bigint): string {
  if (value >> 32n === mappedPrefix) return `::ffff:${formatIpv4(Number(value & 0xffff_ffffn))}`;
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  const { start, length } = longestZeroRun(groups);
  const text = (part: readonly number[]) => part.map((number) => number.toString(16)).join(':');
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** The first of the longest runs of zero groups (RFC 5952 section 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > longest.length) longest = { start, length: i - start };
    start = i + 1;
  }
  return longest;
}
