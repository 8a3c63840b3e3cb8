/** The scorers in the packet worker: copies of probes in, sources that scan out. */

import { type PsdDuty, psdPrefix } from '../../extensions/psd-names.js';
import type { CreateDuty } from '../../kernel/packet-duty.js';
import { readProbe } from './probe.js';
import { PsdScorer } from './scorer.js';

/** A detector of the policy with its name. */
export interface Detector extends PsdDuty {
  readonly name: string;
}

/** What the worker tells. */
export type PsdEvent =
  | { readonly detector: string; readonly source: Uint8Array }
  | { readonly detector: string; readonly evicted: number };

interface Watch {
  readonly name: string;
  readonly scorer: PsdScorer;
  readonly holdMs: number;
  /** When a source was told of last; in the order of that. */
  readonly told: Map<bigint, number>;
  evicted: number;
}

/** Sources of one detector of which is known when they were told of. */
const mostTold = 65_536;

export const createDuty: CreateDuty = (spec) => {
  const watches = new Map(
    (spec as readonly Detector[]).map(({ name, holdMs, hosts, ...limits }): [string, Watch] => [
      psdPrefix(name),
      { name, scorer: new PsdScorer(limits, { hosts }), holdMs, told: new Map(), evicted: 0 },
    ]),
  );
  return {
    packet({ prefix, payload }, out, nowMs) {
      const watch = watches.get(prefix);
      const probe = watch && readProbe(payload);
      if (watch === undefined || probe === undefined || !watch.scorer.isScan(probe, nowMs)) return;
      const { value } = probe.source;
      const toldAt = watch.told.get(value);
      // Half of the time is left then; nothing is lost when this one finds no room.
      if (toldAt !== undefined && nowMs - toldAt < watch.holdMs / 2) return;
      watch.told.delete(value);
      if (watch.told.size >= mostTold) watch.told.delete(watch.told.keys().next().value!);
      watch.told.set(value, nowMs);
      out.event({ detector: watch.name, source: sourceBytes(payload) } satisfies PsdEvent);
    },
    tick(_, out) {
      for (const watch of watches.values()) {
        const { evicted } = watch.scorer;
        if (evicted === watch.evicted) continue;
        watch.evicted = evicted;
        out.event({ detector: watch.name, evicted } satisfies PsdEvent);
      }
    },
  };
};

const sourceBytes = (packet: Buffer): Uint8Array =>
  Uint8Array.from(packet[0]! >> 4 === 4 ? packet.subarray(12, 16) : packet.subarray(8, 24));
