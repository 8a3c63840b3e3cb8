/** The packet as rules saw it on its way: after translation it has other addresses and ports. */

import type { RawRun } from '../kernel/scratch.js';
import { addressFromBytes } from '../net/address.js';
import type { FlowTuple } from '../wire/conntrack-flows.js';
import { readTrace, type TraceEvent } from '../wire/nftrace.js';
import { type Packet, PROTOCOL } from '../wire/packet.js';

/** A packet with these ends and nothing else to it: for looking things up. */
export function packetBetween(protocol: number, tuple: FlowTuple): Packet {
  const { source, destination, sourcePort, destinationPort } = tuple;
  const ports = { sourcePort, destinationPort };
  return {
    ...{ source, destination, protocol, payload: new Uint8Array(0) },
    ...(protocol === PROTOCOL.TCP && { tcp: { ...ports, flags: 0 } }),
    ...(protocol === PROTOCOL.UDP && { udp: ports }),
  };
}

/** Each pair of ends that the trace shows once, also those of answers that the host gave. */
export function packetsSeen({ trace }: RawRun, { protocol }: Packet): Packet[] {
  const seen = new Map<string, Packet | undefined>();
  for (const { network, transport } of readTrace(Buffer.from(trace))) {
    if (network === undefined) continue;
    const key = Buffer.concat([network, transport?.subarray(0, 4) ?? new Uint8Array(0)]).toString('hex');
    if (!seen.has(key)) seen.set(key, packetOfHeaders(network, transport));
  }
  // Not an ICMP error about it.
  return [...seen.values()].filter((packet) => packet?.protocol === protocol) as Packet[];
}

/** What the headers that a trace carries say; undefined when they are cut. */
export function packetOfHeaders(
  network: NonNullable<TraceEvent['network']>,
  transport: TraceEvent['transport'],
): Packet | undefined {
  const v4 = (network[0] ?? 0) >> 4 === 4;
  if (network.length < (v4 ? 20 : 40)) return undefined;
  const ends = v4 ? network.subarray(12, 20) : network.subarray(8, 40);
  const half = ends.length / 2;
  const port = (at: number): number =>
    transport === undefined || transport.length < at + 2 ? 0 : ((transport[at] ?? 0) << 8) | (transport[at + 1] ?? 0);
  return packetBetween(network[v4 ? 9 : 6]!, {
    source: addressFromBytes(ends.subarray(0, half)),
    destination: addressFromBytes(ends.subarray(half)),
    sourcePort: port(0),
    destinationPort: port(2),
  });
}
