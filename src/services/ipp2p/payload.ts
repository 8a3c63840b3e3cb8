/** Payload and tuple of a copied packet. */

import { type Address, addressFromBytes } from '../../net/address.js';

export interface Carried {
  readonly transport: 'tcp' | 'udp';
  readonly protocol: number;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

const [tcp, udp, udplite] = [6, 17, 136];
/** FIN, SYN and RST: such segments greet nobody. */
const opening = 0x07;
const headerBytes = 8;

/**
 * What a packet carries; undefined for fragments, other protocols, segments that open or close, and for copies that don't
 * hold the whole packet: their end is not known.
 */
export function carriedBy(packet: Buffer): Carried | undefined {
  const version = packet.length < 20 ? 0 : packet[0]! >> 4;
  if (version === 4) return carriedByIpv4(packet);
  return version === 6 && packet.length >= 40 ? carriedByIpv6(packet) : undefined;
}

function carriedByIpv4(packet: Buffer): Carried | undefined {
  const at = (packet[0]! & 15) * 4;
  const bytes = packet.readUInt16BE(2);
  if ((packet.readUInt16BE(6) & 0x3fff) !== 0 || bytes > packet.length || at < 20) return undefined;
  return carried(packet.subarray(at, bytes), packet[9]!, packet.subarray(12, 16), packet.subarray(16, 20));
}

function carriedByIpv6(packet: Buffer): Carried | undefined {
  const bytes = packet.readUInt16BE(4) + 40;
  if (bytes > packet.length) return undefined;
  return carried(packet.subarray(40, bytes), packet[6]!, packet.subarray(8, 24), packet.subarray(24, 40));
}

function carried(segment: Buffer, protocol: number, from: Uint8Array, to: Uint8Array): Carried | undefined {
  const isTcp = protocol === tcp;
  if ((!isTcp && protocol !== udp && protocol !== udplite) || segment.length < (isTcp ? 20 : headerBytes))
    return undefined;
  const header = isTcp ? (segment[12]! >> 4) * 4 : headerBytes;
  if (isTcp && ((segment[13]! & opening) !== 0 || header < 20)) return undefined;
  return {
    transport: isTcp ? 'tcp' : 'udp',
    protocol,
    source: addressFromBytes(from),
    destination: addressFromBytes(to),
    sourcePort: segment.readUInt16BE(0),
    destinationPort: segment.readUInt16BE(2),
    payload: segment.subarray(Math.min(header, segment.length)),
  };
}
