/** Writes the lines of `logmark`: runs while a rule of the policy logs marks. */

import { asPosternError } from '../../errors.js';
import { type LogmarkTarget, logmarkBytes, logmarkDuty } from '../../extensions/logmark.js';
import { FlowLookup } from '../../kernel/flow-lookup.js';
import type { Policy } from '../../policy/ast.js';
import { copiesOf } from '../copies.js';
import { counterOf, type MetricFamily } from '../metric-family.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';
import type { MarkedCopy } from './duty.js';
import { recordOf } from './record.js';
import { openSink, type Sink } from './sinks.js';

export const logmark: ServiceKind<LogmarkTarget> = {
  name: logmarkDuty,
  section: (policy) => (logsMarks(policy) ? targetOf(policy) : undefined),
  create: (to, context) => new LogmarkService(to, context),
};

const logsMarks = ({ chains }: Policy): boolean =>
  [...chains.values()].some(({ rules }) =>
    rules.some(({ actions }) => actions.some((one) => one.action === 'extension' && one.name === logmarkDuty)),
  );

const targetOf = ({ sections }: Policy): LogmarkTarget =>
  (sections.get(logmarkDuty)?.get(logmarkDuty)?.spec as { readonly to: LogmarkTarget } | undefined)?.to ?? 'syslog';

class LogmarkService implements Service {
  readonly #counts = { written: 0, dropped: 0 };
  #sink: Sink | undefined;
  #flows: FlowLookup | undefined;
  #stop: (() => Promise<void>) | undefined;

  constructor(
    readonly to: LogmarkTarget,
    readonly context: ServiceContext,
  ) {}

  async start(): Promise<void> {
    const { engine, log } = this.context;
    const duty = engine.policy.current?.plan.duties.find(({ kind }) => kind === logmarkDuty);
    if (duty?.nflogGroup === undefined) return;
    const copies = copiesOf(this.context, 'logmark needs');
    this.#sink = openSink(this.to, (message) => log.error(message));
    this.#flows = new FlowLookup();
    this.#stop = await copies.run(
      {
        name: logmarkDuty,
        group: duty.nflogGroup,
        module: new URL('./duty.js', import.meta.url).href,
        spec: {},
        copyBytes: logmarkBytes,
      },
      (event) => this.#take(event as MarkedCopy),
    );
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    this.#flows?.close();
    await this.#sink?.close();
  }

  status(): string {
    return `lines to ${typeof this.to === 'string' ? this.to : this.to.file}`;
  }

  metrics(): readonly MetricFamily[] {
    const { written, dropped } = this.#counts;
    const missed = this.context.copies?.counters(logmarkDuty);
    const lost = (missed?.lost ?? 0) + (missed?.eventsDropped ?? 0) + dropped;
    return [
      counterOf('postern_logmark_lines_total', 'Lines that LOGMARK wrote.', written),
      counterOf('postern_logmark_lost_total', 'Packets of LOGMARK that there is no line of.', lost),
    ];
  }

  #take(copy: MarkedCopy): void {
    try {
      const record = recordOf(copy, (protocol, tuple) => this.#flows?.find(protocol, tuple));
      const isWritten = record !== undefined && this.#sink?.write(record, this.context.now()) === true;
      this.#counts[isWritten ? 'written' : 'dropped'] += 1;
    } catch (error) {
      this.#counts.dropped += 1;
      this.context.log.error(`logmark: conntrack can't be asked: ${asPosternError(error).message}`);
    }
  }
}
