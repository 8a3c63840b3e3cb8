/**
 * The ipset protocol, version 7. Source: linux/netfilter/ipset/ip_set.h; integers are big-endian and say so by the
 * byte-order bit of their attribute.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | message | 1 PROTOCOL | u8 |
 * | message | 2 SETNAME, 3 TYPENAME (SWAP: the other name) | text |
 * | message | 4 REVISION, 5 FAMILY | u8 |
 * | message | 6 FLAGS | u32: 4 header only (LIST) |
 * | message | 7 DATA | nested: header or element |
 * | message | 8 ADT | nested: 7 DATA, each an element |
 * | message | 9 LINENO | u32; a refusal quotes the message with the number of the element here |
 * | element | 1 IP, 2 IP_TO | nested: 1 IPv4, 2 IPv6 |
 * | element | 3 CIDR | u8 |
 * | element | 4 PORT, 7 PROTO | u16, u8 |
 * | element | 6 TIMEOUT | u32 seconds, 0 permanent |
 * | element | 8 FLAGS | u32: 4 nomatch |
 * | element | 9 LINENO | u32 |
 * | element | 24 BYTES, 25 PACKETS | u64 |
 * | element | 26 COMMENT | text |
 * | element | 27 SKBMARK, 28 SKBPRIO, 29 SKBQUEUE | u64 mark and mask, u32, u16 |
 * | header | 1 IP, 2 IP_TO, 3 CIDR | range of a bitmap |
 * | header | 6 TIMEOUT | u32, default; there only when elements have timeouts |
 * | header | 8 FLAGS | u32: 8 counters, 16 comments, 64 skbinfo |
 * | header | 19 MAXELEM, 24 ELEMENTS, 25 REFERENCES | u32 |
 */

import { type Address, addressBytes, addressFromBytes } from '../net/address.js';
import { attributeMap, type MessageWriter, malformed } from './netlink.js';

/** Marks an integer as big-endian, or'ed to the attribute's type. */
export const NET_ORDER = 0x4000;
export const ATTR = {
  PROTOCOL: 1,
  SETNAME: 2,
  TYPENAME: 3,
  REVISION: 4,
  FAMILY: 5,
  FLAGS: 6,
  DATA: 7,
  ADT: 8,
  LINENO: 9,
} as const;
export const DATA = {
  IP: 1,
  IP_TO: 2,
  CIDR: 3,
  PORT: 4,
  TIMEOUT: 6,
  PROTO: 7,
  FLAGS: 8,
  LINENO: 9,
  MAXELEM: 19,
  ELEMENTS: 24,
  REFERENCES: 25,
} as const;
const IP = { V4: 1, V6: 2 } as const;

export function writeAddress(writer: MessageWriter, type: number, address: Address): void {
  const nested = writer.open(type);
  writer.bytes((address.family === 4 ? IP.V4 : IP.V6) | NET_ORDER, addressBytes(address));
  writer.close(nested);
}

/** @throws PosternError `kernel` */
export function readAddress(nested: Buffer): Address {
  const found = attributeMap(nested);
  const bytes = found.get(IP.V4) ?? found.get(IP.V6);
  if (bytes?.length !== 4 && bytes?.length !== 16) throw malformed('ipset address', 0);
  return addressFromBytes(bytes);
}
