/** What every part of the engine stands on. */

import { EventEmitter } from 'node:events';
import { asPosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Committer, storeAndKernel } from '../store/committer.js';
import type { Store } from '../store/store.js';
import { type Clock, systemClock } from './clock.js';
import type { EngineEvents } from './engine.js';
import { EngineCounters } from './engine-counters.js';
import type { EngineOptions } from './engine-options.js';
import { Gate } from './gate.js';

export interface EngineBase {
  readonly kernel: Kernel;
  readonly store: Store | undefined;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
  readonly counters: EngineCounters;
  /** Something failed in the background. */
  readonly trouble: (error: unknown) => void;
}

export function engineBase({ kernel, store, audit, clock = systemClock }: EngineOptions): EngineBase {
  const events = new EventEmitter<EngineEvents>();
  const kept = { kernel, ...(audit !== undefined && { audit }) };
  return {
    kernel,
    store,
    committer: store === undefined ? kernelCommitter(kernel) : storeAndKernel({ store, ...kept }),
    clock,
    gate: new Gate(),
    events,
    counters: new EngineCounters(),
    trouble: (error) => void events.emit('trouble', { error: asPosternError(error) }),
  };
}

/** Without a store, what the kernel has taken is done. */
function kernelCommitter(kernel: Pick<Kernel, 'change'>): Committer {
  const commit: Committer['commit'] = async (_, elements, options) => {
    if (elements.length > 0) await kernel.change(elements, options);
  };
  return { commit, request: () => ({ commit, done: async () => {} }) };
}
