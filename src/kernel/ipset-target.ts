/** What a change means for an ipset: its elements, or why it can't be made. Pure. */

import type { ManifestIpset } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { type Address, type AddressRange, addressBits, addressBytes, addressFromBytes } from '../net/address.js';
import { prefixOf, prefixRange } from '../net/prefix.js';
import { rangePrefixes } from '../net/ranges.js';
import { type IpsetShape, MAX_IPSET_COMMENT_BYTES, MAX_IPSET_TIMEOUT_SECONDS } from '../wire/ipset.js';
import type { IpsetElement } from '../wire/ipset-element.js';
import type { ElementChange, ElementKey, ElementState } from './kernel.js';

/** As the kernel is asked to make it. */
export function shapeOf(set: ManifestIpset): IpsetShape {
  const { type, family, timeout, counters, comment, skbinfo, size, range } = set;
  return {
    type,
    family,
    timeout,
    counters,
    comment,
    skbinfo,
    maxElements: size,
    ...(range === undefined ? {} : { range: { first: end(range, range.first), last: end(range, range.last) } }),
  };
}

/** Does a set that is there look as it should? */
export function sameShape(a: IpsetShape, b: IpsetShape): boolean {
  const size = a.range === undefined ? a.maxElements === b.maxElements : sameRange(a, b);
  const flags = (['timeout', 'counters', 'comment', 'skbinfo'] as const).every((flag) => a[flag] === b[flag]);
  return a.type === b.type && a.family === b.family && size && flags;
}

function sameRange({ range: a }: IpsetShape, { range: b }: IpsetShape): boolean {
  return a?.first.value === b?.first.value && a?.last.value === b?.last.value;
}

function end({ family }: AddressRange, value: bigint): Address {
  return { family, value };
}

/**
 * The elements that a key stands for: one for each prefix of its range and each port of the set.
 * @throws PosternError `invalid` when the set can't hold it.
 */
export function elementsOf(set: ManifestIpset, key: ElementKey): IpsetElement[] {
  const range = rangeOf(set, key);
  if (set.type !== 'hash:net') {
    const host = hostOf(set, range);
    return set.ports === undefined ? [{ address: host }] : set.ports.map((port) => ({ address: host, ...port }));
  }
  const bits = addressBits(range.family);
  return rangePrefixes(range)
    .flatMap((prefix) => (prefix.length === 0 ? halves(set) : [prefix]))
    .map(({ family, value, length }) => ({
      address: { family, value },
      // A host is shown without its length, and this is how the kernel wants to be told.
      ...(length === bits ? {} : { prefixLength: length }),
    }));
}

/** hash:net knows no prefix of length 0. */
function halves({ family }: ManifestIpset) {
  return [0n, 1n << BigInt(addressBits(family) - 1)].map((value) => prefixOf({ family, value }, 1));
}

function rangeOf(set: ManifestIpset, { key, keyEnd }: ElementKey): AddressRange {
  if (key.length * 8 !== addressBits(set.family) || (keyEnd !== undefined && keyEnd.length !== key.length)) {
    throw new PosternError('invalid', `ipset ${set.name}: it holds IPv${set.family} addresses`);
  }
  const { family, value: first } = addressFromBytes(key);
  const last = keyEnd === undefined ? first : addressFromBytes(keyEnd).value;
  if (last < first) throw new PosternError('invalid', `ipset ${set.name}: a range that ends before it begins`);
  return { family, first, last };
}

function hostOf(set: ManifestIpset, { family, first, last }: AddressRange): Address {
  if (first !== last) {
    throw new PosternError('invalid', `ipset ${set.name}: ${set.type} holds single addresses; take type hash:net`);
  }
  if (set.range !== undefined && (first < set.range.first || first > set.range.last)) {
    throw new PosternError('invalid', `ipset ${set.name}: an address out of its range`);
  }
  return { family, value: first };
}

/** @throws PosternError `invalid` when the set can't take this change. */
export function assertIpsetChange(set: ManifestIpset, change: ElementChange): void {
  if (change.op === 'flush') return;
  elementsOf(set, change);
  if (change.op === 'delete') return;
  const { timeoutMs, comment, nomatch } = change;
  if (timeoutMs !== undefined && !set.timeout) {
    throw new PosternError('invalid', `ipset ${set.name}: its elements have no timeout`);
  }
  if (timeoutMs !== undefined && !(Number.isSafeInteger(timeoutMs) && timeoutMs > 0)) {
    throw new PosternError('invalid', `ipset ${set.name}: a timeout of ${timeoutMs} ms`);
  }
  if (comment !== undefined && set.comment && Buffer.byteLength(comment) > MAX_IPSET_COMMENT_BYTES) {
    throw new PosternError('invalid', `ipset ${set.name}: a comment has at most ${MAX_IPSET_COMMENT_BYTES} bytes`);
  }
  if (nomatch && set.type !== 'hash:net') {
    throw new PosternError('invalid', `ipset ${set.name}: ${set.type} knows no exceptions; take type hash:net`);
  }
}

/** The elements of an addition. Times are rounded up to seconds: a ban ends no earlier than asked for. */
export function additions(set: ManifestIpset, change: Extract<ElementChange, { op: 'add' }>): IpsetElement[] {
  const { timeoutMs, comment, nomatch } = change;
  const seconds = timeoutMs === undefined ? 0 : Math.min(MAX_IPSET_TIMEOUT_SECONDS, Math.ceil(timeoutMs / 1000));
  return elementsOf(set, change).map((element) => ({
    ...element,
    ...(set.timeout ? { timeoutSeconds: seconds } : {}),
    ...(set.comment && comment !== undefined ? { comment } : {}),
    ...(nomatch ? { nomatch: true } : {}),
  }));
}

/** What the kernel lists, as the engine sees it; undefined for a port that isn't the set's first. */
export function ipsetState(set: ManifestIpset, element: IpsetElement): ElementState | undefined {
  const { address, prefixLength, port, protocol, timeoutSeconds, packets, bytes, comment, nomatch } = element;
  const [first] = set.ports ?? [];
  if (first !== undefined && (port !== first.port || protocol !== first.protocol)) return undefined;
  const range = prefixRange(prefixOf(address, prefixLength ?? addressBits(address.family)));
  const left = timeoutSeconds ? { timeoutMs: timeoutSeconds * 1000, expiresMs: timeoutSeconds * 1000 } : {};
  return {
    key: addressBytes(address),
    ...(set.type === 'hash:net' ? { keyEnd: addressBytes({ family: address.family, value: range.last }) } : {}),
    ...left,
    ...(packets === undefined ? {} : { packets }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(comment === undefined ? {} : { comment }),
    ...(nomatch ? { nomatch } : {}),
  };
}
