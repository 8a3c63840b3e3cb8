/** The Internet checksum (RFC 1071) of headers and of what TCP, UDP and ICMPv6 count in (RFC 9293, RFC 8200 section 8.1). */

import { type Address, addressBytes } from '../net/address.js';

/** The sum of 16-bit words, not yet folded; an odd last byte counts as the high half of a word. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return even === bytes.length ? total : total + ((bytes[even] as number) << 8);
}

function fold(total: number): number {
  let rest = total;
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x1_0000);
  return ~rest & 0xffff;
}

/** Of bytes whose checksum field is zero; 0 over bytes that carry their right checksum. */
export function checksum(bytes: Uint8Array): number {
  return fold(sum(bytes));
}

/** Of a transport header with its payload, under the pseudo header of the addresses. */
export function transportChecksum(
  source: Address,
  destination: Address,
  protocol: number,
  segment: Uint8Array,
): number {
  const addresses = sum(addressBytes(destination), sum(addressBytes(source)));
  return fold(sum(segment, addresses + protocol + (segment.length & 0xffff) + Math.floor(segment.length / 0x1_0000)));
}
