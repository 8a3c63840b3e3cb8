/** The tuple by which conntrack knows the connection of a packet. Sources: RFC 791, RFC 8200, RFC 792, RFC 4443. */

import { addressFromBytes } from '../../net/address.js';
import type { FlowTuple } from '../../wire/conntrack-flows.js';
import { PROTOCOL } from '../../wire/packet.js';

export interface PacketTuple extends FlowTuple {
  readonly protocol: number;
}

/** Types of ICMP errors: they carry the header of the packet that they are about. */
const errors: Readonly<Record<number, ReadonlySet<number>>> = {
  [PROTOCOL.ICMP]: new Set([3, 4, 5, 11, 12]),
  [PROTOCOL.ICMPV6]: new Set([1, 2, 3, 4]),
};
const icmpHeaderBytes = 8;

/** Of an ICMP error the tuple is that of the packet that it is about. Undefined for what is cut, or has no connection. */
export function tupleOf(bytes: Uint8Array): PacketTuple | undefined {
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const isV4 = packet.length >= 20 && packet[0]! >> 4 === 4;
  if (!isV4 && packet.length < 40) return undefined;
  const at = isV4 ? (packet[0]! & 15) * 4 : 40;
  const protocol = packet[isV4 ? 9 : 6]!;
  const [source, destination] = isV4 ? [12, 16, 20] : [8, 24, 40];
  const ends = {
    protocol,
    source: addressFromBytes(packet.subarray(source, destination)),
    destination: addressFromBytes(packet.subarray(destination, isV4 ? 20 : 40)),
  };
  return withPorts(ends, packet.subarray(at));
}

function withPorts(
  ends: Pick<PacketTuple, 'protocol' | 'source' | 'destination'>,
  segment: Buffer,
): PacketTuple | undefined {
  const { protocol } = ends;
  if (protocol !== PROTOCOL.ICMP && protocol !== PROTOCOL.ICMPV6) {
    const hasPorts = [PROTOCOL.TCP, PROTOCOL.UDP, 33, 132, 136].some((known) => known === protocol);
    if (!hasPorts) return { ...ends, sourcePort: 0, destinationPort: 0 };
    if (segment.length < 4) return undefined;
    return { ...ends, sourcePort: segment.readUInt16BE(0), destinationPort: segment.readUInt16BE(2) };
  }
  if (segment.length < icmpHeaderBytes) return undefined;
  const type = segment[0]!;
  if (errors[protocol]!.has(type)) return tupleOf(segment.subarray(icmpHeaderBytes));
  const icmp = { id: segment.readUInt16BE(4), type, code: segment[1]! };
  return { ...ends, sourcePort: 0, destinationPort: 0, icmp };
}
