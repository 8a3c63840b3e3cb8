/** The policy's `sysrq:` section as a service. */

import { access, constants, writeFile } from 'node:fs/promises';
import { PosternError } from '../../errors.js';
import type { SysrqSpec } from '../../extensions/sysrq.js';
import type { Sequence } from '../../store/store.js';
import { sysrqPassword } from '../../wire/sysrq.js';
import { copiesOf } from '../copies.js';
import { counter, type MetricFamily } from '../metric-family.js';
import { readSecret } from '../secret.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';
import { SysrqReceiver, type SysrqReport } from './receiver.js';

export const sysrq: ServiceKind<SysrqSpec> = {
  name: 'sysrq',
  section: ({ sections }) => sections.get('sysrq')?.get('sysrq')?.spec as SysrqSpec | undefined,
  files: ({ password }) => [password.file],
  create: (section, context) => new SysrqService(section, context),
};

/** As the rules copy. */
const copyBytes = 640;

export class SysrqService implements Service {
  #receiver: SysrqReceiver | undefined;
  #stop: (() => Promise<void>) | undefined;
  /** Why no key can take effect. */
  #lack: string | undefined;

  constructor(
    readonly section: SysrqSpec,
    readonly context: ServiceContext,
    /** Where the kernel takes keys; not there without CONFIG_MAGIC_SYSRQ. */
    readonly trigger = '/proc/sysrq-trigger',
  ) {}

  async start(): Promise<void> {
    const { engine, store, log, now } = this.context;
    const copies = copiesOf(this.context, 'sysrq needs');
    const { hash, sign, keys, dry_run: dryRun } = this.section;
    const password = sysrqPassword(await readSecret(this.section.password.file, 'the SYSRQ password', log));
    if (password === '')
      throw new PosternError('invalid', `${this.section.password.file} is empty: it holds the password`);
    await this.#look();
    const receiver = new SysrqReceiver(
      { secret: { password, hash }, signsAddress: sign === 'address', keys },
      {
        sequence: store?.sequence('sysrq') ?? memorySequence(),
        firstSequence: BigInt(Math.floor(now() / 1000)),
        ...(!dryRun && { press: (key: string) => writeFile(this.trigger, key, { flag: constants.O_WRONLY }) }),
        report: (report) => this.#report(report),
      },
    );
    this.#receiver = receiver;
    const group = engine.policy.current?.plan.duties.find(({ kind }) => kind === 'sysrq')?.nflogGroup;
    if (group === undefined) throw new PosternError('internal', 'the plan has no group for sysrq');
    this.#stop = await copies.listen(group, copyBytes, ({ packet }) => receiver.receive(packet));
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    await this.#receiver?.settled();
  }

  status(): string {
    const { port, keys, dry_run: dryRun } = this.section;
    const lack = this.#lack === undefined ? '' : `, and ${this.#lack}`;
    return `udp ${port}, keys ${keys}${dryRun ? ', dry run' : ''}${lack}`;
  }

  metrics(): readonly MetricFamily[] {
    const samples = [...(this.#receiver?.counts ?? [])].map(([result, value]) => ({ labels: { result }, value }));
    return [counter('postern_sysrq_requests_total', 'SYSRQ requests, by what became of them.', ['result'], samples)];
  }

  async #look(): Promise<void> {
    const error = await access(this.trigger, constants.W_OK).catch((error: NodeJS.ErrnoException) => error);
    this.#lack = lackOf(error?.code);
    if (this.#lack === undefined) return;
    const text = `sysrq: ${this.#lack}: ${this.trigger} can't be written (${error?.code})`;
    if (this.section.dry_run) this.context.log.warn(text);
    else this.context.log.error(`${text}; requests are checked, and their keys fail`);
  }

  async #report({ source, ...facts }: SysrqReport): Promise<void> {
    const good = facts.result === 'accepted' || facts.result === 'done' || facts.result === 'dry-run';
    this.context.log[good ? 'info' : 'warn'](`sysrq: request of ${source}: ${facts.result}`, { source, ...facts });
    await this.context.audit?.({ who: { kind: 'sysrq', id: source }, op: 'sysrq', detail: { ...facts } });
  }
}

function lackOf(code: string | undefined): string | undefined {
  if (code === undefined) return undefined;
  return code === 'ENOENT' ? 'this kernel has no SysRq (CONFIG_MAGIC_SYSRQ)' : 'the daemon may not press keys here';
}

/** Without a state directory the number lives as long as the process. */
function memorySequence(): Sequence {
  let current: bigint | undefined;
  return {
    get current() {
      return current;
    },
    async advance(number) {
      if (current !== undefined && number <= current) return false;
      current = number;
      return true;
    },
  };
}
