/**
 * Hands the main thread what a line needs of each packet. A rule makes up to three copies of it, each with another mark:
 * here they come together again.
 */

import { connectionMark, connectionNumber } from '../../extensions/logmark.js';
import type { CreateDuty, DutyOutput } from '../../kernel/packet-duty.js';

/** A packet that a rule logs the marks of. */
export interface MarkedCopy {
  readonly prefix: string;
  /** As netfilter numbers them: 0 prerouting … 4 postrouting. */
  readonly hook: number;
  readonly mark: number;
  /** Index of the device it came in by; 0: none. */
  readonly device: number;
  /** From the IP header on, as far as it was copied. */
  readonly packet: Uint8Array;
  /** As the packet's connection was; absent when it has none, or when the copies that tell it were lost. */
  connection?: { readonly mark: number; readonly id: number };
}

/** Packets whose other copies are awaited: those of other processors may come in between. */
const mostWaiting = 256;
/** Copies of one packet follow each other within microseconds. */
const patienceMs = 100;

interface Waiting {
  readonly copy: MarkedCopy;
  readonly sinceMs: number;
  mark?: number;
}

export const createDuty: CreateDuty = () => {
  const waiting: Waiting[] = [];
  const of = (packet: Buffer): number => waiting.findIndex(({ copy }) => packet.equals(copy.packet));
  const tellBefore = (sinceMs: number, out: DutyOutput): void => {
    while (waiting[0] !== undefined && waiting[0].sinceMs <= sinceMs) out.event(waiting.shift()!.copy);
  };
  return {
    packet({ prefix, hook, mark, inDevice, payload }, out, nowMs) {
      if (prefix === connectionMark) {
        const found = waiting[of(payload)];
        if (found !== undefined) found.mark = mark;
      } else if (prefix === connectionNumber) {
        const at = of(payload);
        const [found] = at < 0 ? [] : waiting.splice(at, 1);
        if (found?.mark !== undefined) found.copy.connection = { mark: found.mark, id: mark };
        if (found !== undefined) out.event(found.copy);
      } else {
        const copy: MarkedCopy = { prefix, hook, mark, device: inDevice, packet: Uint8Array.from(payload) };
        if (prefix.includes(' INVALID ')) out.event(copy);
        else waiting.push({ copy, sinceMs: nowMs });
        if (waiting.length > mostWaiting) out.event(waiting.shift()!.copy);
      }
    },
    tick: (nowMs, out) => tellBefore(nowMs - patienceMs, out),
  };
};
