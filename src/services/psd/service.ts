/** Port scans by the exact scorer: runs while a rule of the policy asks for it. */

import { type PsdDuty, psdCopyBytes, psdDuty } from '../../extensions/psd-names.js';
import { addressFromBytes } from '../../net/address.js';
import type { Policy } from '../../policy/ast.js';
import { copiesOf } from '../copies.js';
import { LineLimit } from '../line-limit.js';
import { counterOf, type MetricFamily } from '../metric-family.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';
import type { Detector, PsdEvent } from './duty.js';

export const psd: ServiceKind<readonly unknown[]> = {
  name: psdDuty,
  section(policy) {
    const specs = exactRules(policy);
    return specs.length === 0 ? undefined : specs;
  },
  create: (_, context) => new PsdService(context),
};

const exactRules = ({ chains }: Policy): readonly unknown[] =>
  [...chains.values()].flatMap(({ rules }) =>
    rules.flatMap(({ matches }) =>
      matches.flatMap((word) =>
        word.word === 'extension' && word.name === 'psd' && (word.spec as { exact: boolean }).exact ? [word.spec] : [],
      ),
    ),
  );

class PsdService implements Service {
  #stop: (() => Promise<void>) | undefined;
  #detectors: readonly Detector[] = [];
  #found = 0;
  #failed = 0;
  readonly #evicted = new Map<string, number>();
  readonly #warnings = new LineLimit();

  constructor(private readonly context: ServiceContext) {}

  async start(): Promise<void> {
    const { engine } = this.context;
    const duties = engine.policy.current?.plan.duties.filter(({ kind }) => kind === psdDuty) ?? [];
    const group = duties[0]?.nflogGroup;
    if (group === undefined) return;
    const copies = copiesOf(this.context, 'psd: exact needs');
    this.#detectors = duties.map(({ name, spec }) => ({ name, ...(spec as PsdDuty) }));
    const module = new URL('./duty.js', import.meta.url).href;
    const duty = { name: psdDuty, group, module, spec: this.#detectors, copyBytes: psdCopyBytes };
    this.#stop = await copies.run(duty, (event) => void this.#take(event as PsdEvent));
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  status(): string {
    return this.#detectors.length === 0 ? 'the kernel decides everything' : `${this.#detectors.length} exact detectors`;
  }

  metrics(): readonly MetricFamily[] {
    const counted = this.context.copies?.counters(psdDuty);
    const evicted = [...this.#evicted.values()].reduce((sum, count) => sum + count, 0);
    return [
      counterOf('postern_psd_probes_total', 'Probes that were scored.', counted?.packets ?? 0),
      counterOf('postern_psd_lost_total', 'Probes that found no room on the way to the scorer.', counted?.lost ?? 0),
      counterOf('postern_psd_sources_total', 'Times that a source was found to scan.', this.#found),
      counterOf('postern_psd_failed_total', 'Sources that could not be put into the set.', this.#failed),
      counterOf('postern_psd_evicted_total', 'Sources that were forgotten early, for want of room.', evicted),
    ];
  }

  async #take(event: PsdEvent): Promise<void> {
    if ('evicted' in event) {
      this.#evicted.set(event.detector, event.evicted);
      return;
    }
    this.#found++;
    try {
      await this.context.engine.scans.found(event.detector, addressFromBytes(event.source));
    } catch (error) {
      this.#failed++;
      const heldBack = this.#warnings.pass(this.context.now());
      if (heldBack !== undefined) this.context.log.warn(`psd: ${(error as Error).message}`);
    }
  }
}
