/** Recognises peer-to-peer connections by copies of their first packets, and marks them: runs while a rule asks. */

import { asPosternError } from '../../errors.js';
import { type Ipp2pSpec, ipp2pCopyBytes, ipp2pDuty } from '../../extensions/ipp2p.js';
import { type P2pProtocol, p2pNumber, p2pProtocols } from '../../extensions/models/ipp2p.js';
import type { Policy } from '../../policy/ast.js';
import { copiesOf } from '../copies.js';
import { counter, counterOf, type MetricFamily } from '../metric-family.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';
import type { Recognised } from './duty.js';

export const ipp2p: ServiceKind<true> = {
  name: ipp2pDuty,
  section: (policy) => (asks(policy) ? true : undefined),
  create: (_, context) => new Ipp2pService(context),
};

const asks = ({ chains }: Policy): boolean =>
  [...chains.values()].some(({ rules }) =>
    rules.some(({ matches }) => matches.some((one) => one.word === 'extension' && one.name === ipp2pDuty)),
  );

class Ipp2pService implements Service {
  #stop: (() => Promise<void>) | undefined;
  readonly #marked = new Map<P2pProtocol, number>();
  #failed = 0;

  constructor(readonly context: ServiceContext) {}

  async start(): Promise<void> {
    const { engine } = this.context;
    const duty = engine.policy.current?.plan.duties.find(({ kind }) => kind === ipp2pDuty);
    if (duty?.nflogGroup === undefined) return;
    const copies = copiesOf(this.context, 'ipp2p needs');
    const spec = duty.spec as Ipp2pSpec;
    this.#stop = await copies.run(
      {
        name: ipp2pDuty,
        group: duty.nflogGroup,
        module: new URL('./duty.js', import.meta.url).href,
        spec: {},
        copyBytes: ipp2pCopyBytes,
      },
      (event) => void this.#mark(event as Recognised, spec),
    );
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  status(): string {
    return 'copies of the first packets of connections';
  }

  metrics(): readonly MetricFamily[] {
    return [
      counter(
        'postern_ipp2p_recognised_total',
        'Packets by which the daemon recognised a peer-to-peer connection.',
        ['protocol'],
        [...this.#marked].map(([protocol, value]) => ({ labels: { protocol }, value })),
      ),
      counterOf(
        'postern_ipp2p_unmarked_total',
        'Of these, packets whose connection was gone before it was marked.',
        this.#failed,
      ),
    ];
  }

  async #mark({ protocol, tuple, number }: Recognised, { shift, mask }: Ipp2pSpec): Promise<void> {
    const name = p2pProtocols.find((known) => p2pNumber(known) === number)!;
    this.#marked.set(name, (this.#marked.get(name) ?? 0) + 1);
    try {
      await this.context.engine.markConnection({ protocol, tuple, mark: (number << shift) >>> 0, mask });
    } catch (error) {
      this.#failed++;
      const { code, message } = asPosternError(error);
      if (code !== 'not-found') this.context.log.warn(`ipp2p: ${message}`);
    }
  }
}
