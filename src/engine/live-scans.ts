/** The sets of sources that scan; their elements end by themselves. */

import type { EventEmitter } from 'node:events';
import type { Plan } from '../compiler/plan.js';
import { type PsdDuty, psdDuty, psdFound, psdName } from '../extensions/psd-names.js';
import type { SetIndex } from '../kernel/kernel.js';
import { type Address, addressBytes, type Family, formatAddress } from '../net/address.js';
import type { Committer } from '../store/committer.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import type { Scans } from './scans.js';

export interface LiveScansOptions {
  readonly committer: Committer;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
}

interface Detector {
  readonly holdMs: number;
  readonly sets: Readonly<Partial<Record<Family, SetIndex>>>;
}

export class LiveScans implements Scans {
  #detectors: ReadonlyMap<string, Detector> = new Map();

  constructor(private readonly options: LiveScansOptions) {}

  /** From now on the plan's indexes hold. */
  switch({ duties, manifest }: Pick<Plan, 'duties' | 'manifest'>): void {
    const setsOf = (detector: string): Detector['sets'] =>
      Object.fromEntries(
        manifest.sets.flatMap(({ role }, set) =>
          role.kind === 'extension' && role.extension === psdName && role.purpose === psdFound && role.name === detector
            ? [[role.family, set]]
            : [],
        ),
      );
    this.#detectors = new Map(
      duties
        .filter(({ kind }) => kind === psdDuty)
        .map(({ name, spec }) => [name, { holdMs: (spec as PsdDuty).holdMs, sets: setsOf(name) }]),
    );
  }

  async found(detector: string, source: Address): Promise<void> {
    const known = await this.options.gate.pass(async () => {
      const { holdMs, sets } = this.#detectors.get(detector) ?? {};
      const set = sets?.[source.family];
      if (set === undefined || holdMs === undefined) return false;
      await this.options.committer.commit([], [{ op: 'add', set, key: addressBytes(source), timeoutMs: holdMs }]);
      return true;
    });
    if (known) this.options.events.emit('scan', { detector, address: formatAddress(source) });
  }
}
