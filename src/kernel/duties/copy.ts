/** A duty that hands every packet on to the main thread, for what is rare and needs the store. Rules bound how many come. */

import type { CreateDuty } from '../packet-duty.js';

/** What a rule logged. */
export interface PacketCopy {
  readonly prefix: string;
  /** From the IP header on, as far as it was copied. */
  readonly packet: Uint8Array;
}

export const createDuty: CreateDuty = () => ({
  packet({ prefix, payload }, out) {
    out.event({ prefix, packet: Uint8Array.from(payload) } satisfies PacketCopy);
  },
});
