/**
 * Set keys between the ruleset's values and the kernel's bytes, by nft type name.
 *
 * | Type | Bytes | Order |
 * |---|---|---|
 * | ipv4_addr, ipv6_addr, ether_addr, inet_service | 4, 16, 6, 2 | network |
 * | inet_proto, nf_proto, icmp_type, icmpv6_type | 1 | |
 * | mark, uid, gid | 4 | the host's: little-endian |
 * | packet_length | 4 | network, as interval sets of `meta length` have it; a name of ours |
 * | ifname | 16 | text, filled with zeroes; `ppp*` is everything that begins so |
 *
 * In a concatenation each part is filled with zeroes to a multiple of 4 bytes. Other types (`integer` above all, whose
 * length depends on the expression) are not known here.
 */

import { addressBytes, addressFromBytes, formatAddress, parseAddress } from '../net/address.js';
import { formatMac, macBytes, parseMac } from '../net/mac.js';
import { parsePrefix, prefixRange, rangePrefix } from '../net/prefix.js';
import { parseProtocol } from '../net/protocol.js';
import type { Expression } from './model.js';

/** A key, or all keys from `key` to `keyEnd`, both included. */
export interface KeyBytes {
  readonly key: Uint8Array;
  readonly keyEnd?: Uint8Array;
}

interface Codec {
  readonly bytes: number;
  /** A literal's bytes, or those of its first and last value. @throws PosternError `invalid` */
  encode(literal: string | number): KeyBytes;
  decode(bytes: Uint8Array): Expression;
}

const single = (encode: (literal: string | number) => Uint8Array): Codec['encode'] => {
  return (literal) => ({ key: encode(literal) });
};

const bigEndian = (bytes: number): Codec => ({
  bytes,
  encode: single((literal) => integerBytes(literal, bytes).reverse()),
  decode: (key) => Buffer.from(key).readUIntBE(0, bytes),
});

const hostOrder: Codec = {
  bytes: 4,
  encode: single((literal) => integerBytes(literal, 4)),
  decode: (key) => Buffer.from(key).readUInt32LE(0),
};

function integerBytes(literal: string | number, bytes: number): Uint8Array {
  let rest = BigInt(literal);
  return Uint8Array.from({ length: bytes }, () => {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    return byte;
  });
}

const address = (bytes: 4 | 16): Codec => ({
  bytes,
  encode(literal) {
    const text = String(literal);
    if (!text.includes('/')) return { key: addressBytes(parseAddress(text)) };
    const { family, first, last } = prefixRange(parsePrefix(text));
    return { key: addressBytes({ family, value: first }), keyEnd: addressBytes({ family, value: last }) };
  },
  decode: (key) => formatAddress(addressFromBytes(key)),
});

const IFNAMSIZ = 16;

const codecs: Readonly<Record<string, Codec>> = {
  ipv4_addr: address(4),
  ipv6_addr: address(16),
  ether_addr: {
    bytes: 6,
    encode: single((literal) => macBytes(parseMac(String(literal)))),
    decode: (key) =>
      formatMac(
        parseMac(
          Buffer.from(key)
            .toString('hex')
            .replace(/..(?!$)/g, '$&:'),
        ),
      ),
  },
  inet_service: bigEndian(2),
  inet_proto: {
    ...bigEndian(1),
    encode: single((literal) => Uint8Array.of(typeof literal === 'number' ? literal : parseProtocol(literal))),
  },
  nf_proto: {
    bytes: 1,
    encode: single((literal) => Uint8Array.of(literal === 'ipv4' ? 2 : literal === 'ipv6' ? 10 : Number(literal))),
    decode: ([family]) => (family === 2 ? 'ipv4' : family === 10 ? 'ipv6' : (family ?? 0)),
  },
  icmp_type: bigEndian(1),
  icmpv6_type: bigEndian(1),
  mark: hostOrder,
  uid: hostOrder,
  gid: hostOrder,
  packet_length: bigEndian(4),
  ifname: {
    bytes: IFNAMSIZ,
    encode(literal) {
      const text = String(literal);
      const stem = Buffer.from(text.replace(/\*$/, ''));
      const filled = (byte: number): Uint8Array => Buffer.concat([stem, Buffer.alloc(IFNAMSIZ - stem.length, byte)]);
      return text.endsWith('*') ? { key: filled(0), keyEnd: filled(0xff) } : { key: filled(0) };
    },
    decode: (key) => Buffer.from(key).toString().replace(/\0+$/, ''),
  },
};

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Length of a key of these types; undefined when one of them is not known. */
export function keyLength(types: readonly string[]): number | undefined {
  const lengths = types.map((type) => codecs[type]?.bytes);
  if (lengths.includes(undefined)) return undefined;
  if (lengths.length === 1) return lengths[0];
  return lengths.reduce<number>((sum, length) => sum + padded(length ?? 0), 0);
}

/**
 * The bytes of a value: a literal, a range, a prefix, or a concatenation of these.
 * Undefined when a type is not known, or when the value is nothing that a set can hold as a key.
 * @throws PosternError `invalid` when a literal can't be read.
 */
export function encodeKey(types: readonly string[], value: Expression): KeyBytes | undefined {
  if (types.length === 1) return encodePart(types[0] as string, value);
  if (typeof value !== 'object' || !('concat' in value) || value.concat.length !== types.length) return undefined;
  const parts = value.concat.map((part, index) => encodePart(types[index] as string, part));
  if (parts.some((part) => part === undefined)) return undefined;
  const joined = (pick: (part: KeyBytes) => Uint8Array): Uint8Array =>
    Buffer.concat(parts.map((part) => pad(pick(part as KeyBytes))));
  const isRange = parts.some((part) => part?.keyEnd !== undefined);
  const key = joined((part) => part.key);
  return isRange ? { key, keyEnd: joined((part) => part.keyEnd ?? part.key) } : { key };
}

const pad = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes], padded(bytes.length));

function encodePart(type: string, value: Expression): KeyBytes | undefined {
  const codec = codecs[type];
  if (codec === undefined) return undefined;
  if (typeof value === 'string' || typeof value === 'number') return codec.encode(value);
  if (typeof value !== 'object') return undefined;
  if ('prefix' in value) return encodePart(type, `${value.prefix.addr}/${value.prefix.len}`);
  if (!('range' in value)) return undefined;
  const [first, last] = value.range.map((end) => encodePart(type, end));
  return first === undefined || last === undefined ? undefined : { key: first.key, keyEnd: last.keyEnd ?? last.key };
}

/** The parts of a key. Undefined when a type is not known or the length is another. */
export function keyParts(types: readonly string[], key: Uint8Array): Uint8Array[] | undefined {
  if (key.length !== keyLength(types)) return undefined;
  let at = 0;
  return types.map((type) => {
    const { bytes } = codecs[type] as Codec;
    const part = key.subarray(at, at + bytes);
    at += padded(bytes);
    return part;
  });
}

/** The value of a key as the ruleset writes it. Undefined when a type is not known or the length is another. */
export function decodeKey(types: readonly string[], { key, keyEnd = key }: KeyBytes): Expression | undefined {
  const [first, last] = [keyParts(types, key), keyParts(types, keyEnd)];
  if (first === undefined || last === undefined) return undefined;
  const values = types.map((type, index) =>
    decodePart(type, codecs[type] as Codec, first[index] as Uint8Array, last[index] as Uint8Array),
  );
  return types.length === 1 ? values[0] : { concat: values };
}

function decodePart(type: string, codec: Codec, first: Uint8Array, last: Uint8Array): Expression {
  if (Buffer.compare(first, last) === 0) return codec.decode(first);
  if (type === 'ifname') return `${String(codec.decode(first))}*`;
  const prefix = type.startsWith('ipv') ? addressPrefix(first, last) : undefined;
  return prefix ?? { range: [codec.decode(first), codec.decode(last)] };
}

function addressPrefix(first: Uint8Array, last: Uint8Array): Expression | undefined {
  const { family, value } = addressFromBytes(first);
  const prefix = rangePrefix({ family, first: value, last: addressFromBytes(last).value });
  return prefix && { prefix: { addr: formatAddress({ family, value: prefix.value }), len: prefix.length } };
}

/** The value in front of a key; that of zero is the highest. */
export function keyBefore(key: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(key);
  for (let at = bytes.length - 1; at >= 0; at--) {
    const byte = (bytes[at] as number) - 1;
    bytes[at] = byte & 0xff;
    if (byte >= 0) break;
  }
  return bytes;
}
