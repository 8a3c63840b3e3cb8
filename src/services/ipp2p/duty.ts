/** The classifier in the packet worker: what it recognises it tells the main thread. */

import { classifyP2p, p2pNumber } from '../../extensions/models/ipp2p.js';
import type { CreateDuty } from '../../kernel/packet-duty.js';
import type { FlowTuple } from '../../wire/conntrack-flows.js';
import { carriedBy } from './payload.js';

/** A connection that speaks a protocol. */
export interface Recognised {
  readonly protocol: number;
  readonly tuple: FlowTuple;
  /** As `p2pNumber`. */
  readonly number: number;
}

export const createDuty: CreateDuty = () => ({
  packet({ payload }, out) {
    const recognised = recognise(payload);
    if (recognised !== undefined) out.event(recognised);
  },
});

export function recognise(packet: Buffer): Recognised | undefined {
  const found = carriedBy(packet);
  const known = found && classifyP2p(found.transport, found.payload);
  if (found === undefined || known === undefined) return undefined;
  const { protocol, source, destination, sourcePort, destinationPort } = found;
  return { protocol, tuple: { source, destination, sourcePort, destinationPort }, number: p2pNumber(known) };
}
