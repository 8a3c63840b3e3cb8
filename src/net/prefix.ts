/** Prefixes and ranges as text, and what lies in them. */

import {
  type Address,
  type AddressRange,
  addressBits,
  type Family,
  formatAddress,
  highestValue,
  type Prefix,
  parseAddress,
} from './address.js';
import { invalid } from './text.js';

export interface MaskedPrefix {
  readonly prefix: Prefix;
  /** Were bits below the length set, and cleared? */
  readonly masked: boolean;
}

/**
 * Reads a host, `address/length`, or for IPv4 `address/dotted mask`.
 * @throws PosternError `invalid`, also for bits below the length; the message then names the prefix that may be meant.
 */
export function parsePrefix(text: string): Prefix {
  const { prefix, masked } = parsePrefixMasked(text);
  if (masked) throw invalid(text, `has bits set beyond its length; is ${formatPrefix(prefix)} meant?`);
  return prefix;
}

/**
 * As `parsePrefix`, but clears the bits below the length and tells whether there were any.
 * @throws PosternError `invalid`.
 */
export function parsePrefixMasked(text: string): MaskedPrefix {
  const slash = text.indexOf('/');
  if (slash < 0) return { prefix: hostPrefix(parseAddress(text)), masked: false };
  const address = parseAddress(text.slice(0, slash));
  const length = prefixLength(text.slice(slash + 1), address.family);
  if (length === undefined) {
    throw invalid(text, `has no valid length after the slash; it goes from 0 to ${addressBits(address.family)}`);
  }
  const prefix = prefixOf(address, length);
  return { prefix, masked: prefix.value !== address.value };
}

/**
 * Reads a host, a prefix, or `first-last`.
 * @throws PosternError `invalid`.
 */
export function parseRange(text: string): AddressRange {
  const dash = text.indexOf('-');
  if (dash < 0) return prefixRange(parsePrefix(text));
  const first = parseAddress(text.slice(0, dash).trimEnd());
  const last = parseAddress(text.slice(dash + 1).trimStart());
  if (first.family !== last.family) throw invalid(text, 'begins and ends in different address families');
  if (last.value < first.value) throw invalid(text, 'ends before it begins; swap the two addresses');
  return { family: first.family, first: first.value, last: last.value };
}

/** A host without its length, anything else as `address/length`. */
export function formatPrefix(prefix: Prefix): string {
  const address = formatAddress(prefix);
  return isHost(prefix) ? address : `${address}/${prefix.length}`;
}

/** As short as possible: a host, a prefix, or `first-last`. */
export function formatRange(range: AddressRange): string {
  const prefix = rangePrefix(range);
  if (prefix !== undefined) return formatPrefix(prefix);
  const { family } = range;
  return `${formatAddress({ family, value: range.first })}-${formatAddress({ family, value: range.last })}`;
}

/**
 * The prefix of the given length around an address.
 * @throws PosternError `invalid` for a length outside 0–32 or 0–128.
 */
export function prefixOf(address: Address, length: number): Prefix {
  const { family, value } = address;
  if (!Number.isInteger(length) || length < 0 || length > addressBits(family)) {
    throw invalid(`/${length}`, `is no length of an IPv${family} prefix; it goes from 0 to ${addressBits(family)}`);
  }
  const hostBits = BigInt(addressBits(family) - length);
  return { family, value: (value >> hostBits) << hostBits, length };
}

export function hostPrefix(address: Address): Prefix {
  return { family: address.family, value: address.value, length: addressBits(address.family) };
}

export function isHost(prefix: Prefix): boolean {
  return prefix.length === addressBits(prefix.family);
}

/** 0.0.0.0/0 or ::/0. */
export function everything(family: Family): AddressRange {
  return { family, first: 0n, last: highestValue(family) };
}

/** The highest address of a prefix as a number. */
export function prefixLast(prefix: Prefix): bigint {
  return prefix.value | ((1n << BigInt(addressBits(prefix.family) - prefix.length)) - 1n);
}

export function prefixRange(prefix: Prefix): AddressRange {
  return { family: prefix.family, first: prefix.value, last: prefixLast(prefix) };
}

/** The one prefix that is exactly this range; undefined when there is none. */
export function rangePrefix(range: AddressRange): Prefix | undefined {
  const span = range.last - range.first;
  if ((span & (span + 1n)) !== 0n || (range.first & span) !== 0n) return undefined;
  const hostBits = span === 0n ? 0 : span.toString(2).length;
  return { family: range.family, value: range.first, length: addressBits(range.family) - hostBits };
}

export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (prefix.family !== address.family) return false;
  const hostBits = BigInt(addressBits(prefix.family) - prefix.length);
  return prefix.value >> hostBits === address.value >> hostBits;
}

export function rangeContains(range: AddressRange, address: Address): boolean {
  return range.family === address.family && range.first <= address.value && address.value <= range.last;
}

/** Is every address of `inner` also in `outer`? True for equal prefixes. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner);
}

export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** Order of prefixes: IPv4 first, then by address, then the wider one first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return a.length - b.length;
}

/** Order of ranges: IPv4 first, then by first address, then the wider one first. */
export function compareRanges(a: AddressRange, b: AddressRange): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.first !== b.first) return a.first < b.first ? -1 : 1;
  return a.last === b.last ? 0 : a.last > b.last ? -1 : 1;
}

const decimal = /^(0|[1-9][0-9]{0,2})$/;

function prefixLength(text: string, family: Family): number | undefined {
  if (decimal.test(text)) {
    const length = Number(text);
    return length <= addressBits(family) ? length : undefined;
  }
  return family === 4 && text.includes('.') ? dottedMaskLength(text) : undefined;
}

/** Only ones, then only zeros. */
function dottedMaskLength(text: string): number | undefined {
  const hostMask = ~Number(parseAddress(text).value) >>> 0;
  if ((hostMask & (hostMask + 1)) !== 0) return undefined;
  return Math.clz32(hostMask);
}
