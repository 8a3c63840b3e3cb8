/** Answers for traps what the kernel can't: runs while a rule of the policy may need it. */

import { headerBytes, type ResponderSpec, responderDuty } from '../../extensions/responder.js';
import type { Policy } from '../../policy/ast.js';
import { copiesOf } from '../copies.js';
import { counterOf, type MetricFamily } from '../metric-family.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';

const words: readonly string[] = ['tarpit', 'delude', 'chaos'];

export const responder: ServiceKind<true> = {
  name: responderDuty,
  section: (policy) => (hasTraps(policy) ? true : undefined),
  create: (_, context) => new ResponderService(context),
};

const hasTraps = ({ chains }: Policy): boolean =>
  [...chains.values()].some(({ rules }) =>
    rules.some(({ actions }) => actions.some((action) => action.action === 'extension' && words.includes(action.name))),
  );

/** Rules bound what comes; this bounds what goes, however many rules there are. */
const replies = { perSecond: 500_000, burst: 50_000 };

class ResponderService implements Service {
  #stop: (() => Promise<void>) | undefined;
  #group: number | undefined;

  constructor(readonly context: ServiceContext) {}

  async start(): Promise<void> {
    const { engine } = this.context;
    const duty = engine.policy.current?.plan.duties.find(({ kind }) => kind === responderDuty);
    if (duty?.nflogGroup === undefined) return;
    const copies = copiesOf(this.context, 'traps need');
    this.#group = duty.nflogGroup;
    this.#stop = await copies.run({
      name: responderDuty,
      group: duty.nflogGroup,
      module: new URL('./duty.js', import.meta.url).href,
      spec: {},
      copyBytes: headerBytes,
      replies,
      replyMark: (duty.spec as ResponderSpec).mark,
    });
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  status(): string {
    return this.#group === undefined ? 'the kernel answers everything' : `copies of group ${this.#group}`;
  }

  metrics(): readonly MetricFamily[] {
    const counted = this.context.copies?.counters(responderDuty);
    if (counted === undefined) return [];
    return [
      counterOf('postern_responder_packets_total', 'Packets that traps gave to the daemon.', counted.packets),
      counterOf('postern_responder_replies_total', 'Answers of the daemon for traps.', counted.replies),
      counterOf('postern_responder_lost_total', 'Packets for the daemon that found no room.', counted.lost),
      counterOf('postern_responder_limited_total', 'Answers that the limit held back.', counted.limited),
    ];
  }
}
