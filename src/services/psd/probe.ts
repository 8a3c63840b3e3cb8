/**
 * What the scorer has to know of a packet, read without making more of it.
 *
 * | Offset | IPv4 | IPv6 |
 * |---|---|---|
 * | 0 | version and header length in words, 4 bits each | version |
 * | 6 | flags and fragment offset, u16 | 6: next header, u8 |
 * | 9 | protocol | |
 * | 12, 8 | source | source |
 * | behind | ports, u16 each; TCP flags at 13 | the same, behind extension headers |
 */

import { PROTOCOL } from '../../wire/packet.js';
import type { Probe } from './scorer.js';

const ipv6Bytes = 40;
/** Hop-by-hop, routing, destination options; a fragment is told apart. */
const extensions = new Set([0, 43, 60]);
const fragment = 44;
const mostExtensions = 8;

/** @returns undefined for what has no ports, or is cut before them. */
export function readProbe(packet: Buffer): Probe | undefined {
  const version = packet.length < 20 ? 0 : packet[0]! >> 4;
  if (version === 4) return readIpv4(packet);
  return version === 6 && packet.length >= ipv6Bytes ? readIpv6(packet) : undefined;
}

function readIpv4(packet: Buffer): Probe | undefined {
  const source = { family: 4, value: BigInt(packet.readUInt32BE(12)) } as const;
  return behind(packet, (packet[0]! & 15) * 4, packet[9]!, packet.readUInt16BE(6) & 0x1fff, source);
}

function readIpv6(packet: Buffer): Probe | undefined {
  const value = (packet.readBigUInt64BE(8) << 64n) | packet.readBigUInt64BE(16);
  let [protocol, at, offset] = [packet[6]!, ipv6Bytes, 0];
  for (let count = 0; count < mostExtensions && at + 8 <= packet.length; count++) {
    if (protocol === fragment) {
      offset = packet.readUInt16BE(at + 2) >> 3;
      [protocol, at] = [packet[at]!, at + 8];
    } else if (extensions.has(protocol)) {
      [protocol, at] = [packet[at]!, at + (packet[at + 1]! + 1) * 8];
    } else break;
  }
  return behind(packet, at, protocol, offset, { family: 6, value });
}

function behind(
  packet: Buffer,
  at: number,
  protocol: number,
  fragmentOffset: number,
  source: Probe['source'],
): Probe | undefined {
  const isTcp = protocol === PROTOCOL.TCP;
  if (packet.length < at + (isTcp ? 14 : 4)) return undefined;
  const tcpFlags = isTcp ? packet[at + 13]! : 0;
  return { source, protocol, destinationPort: packet.readUInt16BE(at + 2), tcpFlags, fragmentOffset };
}
