/** Hands the main thread what a line needs of each packet: conntrack is asked there. */

import type { CreateDuty } from '../../kernel/packet-duty.js';

/** A copy of a packet that a rule logs marks of. */
export interface MarkedCopy {
  readonly prefix: string;
  /** As netfilter numbers them: 0 prerouting … 4 postrouting. */
  readonly hook: number;
  readonly mark: number;
  /** Index of the device it came in by; 0: none. */
  readonly device: number;
  /** From the IP header on, as far as it was copied. */
  readonly packet: Uint8Array;
}

export const createDuty: CreateDuty = () => ({
  packet({ prefix, hook, mark, inDevice, payload }, out) {
    out.event({ prefix, hook, mark, device: inDevice, packet: Uint8Array.from(payload) } satisfies MarkedCopy);
  },
});
