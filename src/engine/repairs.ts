/** What others change of ours in the kernel is found, told, and made right again. */

import type { EventEmitter } from 'node:events';
import { asPosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Clock } from './clock.js';
import type { Countries } from './countries.js';
import { DriftWatch, type Found } from './drift.js';
import type { EngineEvents } from './engine.js';
import type { EngineCounters } from './engine-counters.js';
import { type LiveTable, setsOf } from './entries/live-table.js';
import type { Gate } from './gate.js';
import type { InterfaceSets } from './interface-sets.js';
import { IpsetWatch } from './ipset-watch.js';
import type { LiveKnocks } from './live-knocks.js';
import type { LivePolicy } from './live-policy.js';

export interface RepairsParts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
  readonly counters: Pick<EngineCounters, 'drift'>;
  readonly tables: ReadonlyMap<string, LiveTable>;
  readonly policy: Pick<LivePolicy, 'manifest' | 'reload'>;
  readonly interfaces: Pick<InterfaceSets, 'update'>;
  readonly countries: Pick<Countries, 'forget' | 'update'>;
  readonly knocks: Pick<LiveKnocks, 'restore'>;
  readonly reconcile: (table: LiveTable) => Promise<unknown>;
  readonly trouble: (error: unknown) => void;
}

export class Repairs {
  readonly #drift: DriftWatch;
  readonly #ipsets: IpsetWatch;

  constructor(private readonly parts: RepairsParts) {
    const { kernel, clock, gate, tables, policy, trouble } = parts;
    this.#drift = this.#driftWatch();
    this.#ipsets = new IpsetWatch({
      kernel,
      clock,
      gate,
      tables,
      manifest: () => policy.manifest,
      found: (found) => this.#drift.note(found),
      trouble,
    });
  }

  start(): void {
    this.#drift.start();
  }

  /** Nobody tells of changes to ipsets: they are looked at now and then, once all are made. */
  watchIpsets(): void {
    this.#ipsets.start();
  }

  /** The kernel may hold something else than it should, and nobody tells. */
  doubt(reason: string): void {
    this.#drift.note({ reasons: [reason], sets: new Set(), structure: true });
  }

  async stop(): Promise<void> {
    await this.#ipsets.stop();
    await this.#drift.stop();
  }

  #driftWatch(): DriftWatch {
    const { kernel, clock, events, counters } = this.parts;
    const told = ({ reasons }: Found) => reasons.join('; ');
    return new DriftWatch({
      kernel,
      clock,
      found: (drift) => {
        counters.drift('found');
        events.emit('drift', { what: 'found', detail: told(drift) });
      },
      repair: (drift) => this.#repair(drift),
      repaired: (drift, repairMs) => {
        counters.drift('repaired', repairMs);
        events.emit('drift', { what: 'repaired', detail: told(drift), repairMs });
      },
      failed: (drift, error) => {
        counters.drift('failed');
        events.emit('drift', { what: 'failed', detail: `${told(drift)}: ${asPosternError(error).message}` });
      },
    });
  }

  /** Rules, chains, sets and objects first; then entries, of the sets that were touched or made anew. */
  async #repair({ sets, structure }: Found): Promise<void> {
    const { policy, tables, interfaces, countries, knocks, reconcile } = this.parts;
    if (structure) await policy.reload();
    for (const table of [...tables.values()]) {
      if (structure || [...setsOf(table)].some(({ set }) => sets.has(set))) await reconcile(table);
    }
    await interfaces.update();
    if (structure || sets.size > 0) countries.forget();
    await countries.update();
    await knocks.restore();
  }
}
