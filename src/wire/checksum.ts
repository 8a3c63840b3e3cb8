/** The Internet checksum (RFC 1071) of headers and of what TCP, UDP and ICMPv6 count in (RFC 9293, RFC 8200 section 8.1). */

import { type Address, addressBytes } from '../net/address.js';

/**
 * Sum of the 16-bit words of `data` from `from` to `to`, added to `seed`; an odd last byte counts as the high half.
 * The sum is not folded: give it to a further call, and in the end to `checksumOf`.
 */
export function sumWords(data: Uint8Array, from: number, to: number, seed = 0): number {
  let sum = seed;
  const even = to - ((to - from) & 1);
  for (let at = from; at < even; at += 2) sum += ((data[at] as number) << 8) | (data[at + 1] as number);
  if (even < to) sum += (data[even] as number) << 8;
  return sum;
}

/** Sum of the two 16-bit words of a 32-bit number: as `sumWords` of its four bytes. */
export function sumOfHalves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

/** The checksum that a header carries, from the sum of everything that it covers with its own field as 0. */
export function checksumOf(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}

/** Of bytes whose checksum field is zero; 0 over bytes that carry their right checksum. */
export function checksum(bytes: Uint8Array): number {
  return checksumOf(sumWords(bytes, 0, bytes.length));
}

/** Of a transport header with its payload, under the pseudo header of the addresses. */
export function transportChecksum(
  source: Address,
  destination: Address,
  protocol: number,
  segment: Uint8Array,
): number {
  const { length } = segment;
  const addresses = [source, destination].reduce((sum, address) => {
    const bytes = addressBytes(address);
    return sumWords(bytes, 0, bytes.length, sum);
  }, 0);
  const pseudo = addresses + protocol + (length & 0xffff) + Math.floor(length / 0x1_0000);
  return checksumOf(sumWords(segment, 0, length, pseudo));
}
