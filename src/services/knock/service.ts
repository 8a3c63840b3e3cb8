/** The policy's `knocks:` section as a service. */

import { PosternError } from '../../errors.js';
import type { KnockSpec } from '../../extensions/pknock.js';
import { MemoryReplayWindow } from '../replay-window.js';
import { readSecret, withoutNewline } from '../secret.js';
import type { MetricFamily, Service, ServiceContext, ServiceKind } from '../service.js';
import { KnockReceiver, type KnockSecrets } from './receiver.js';

interface NamedKnock {
  readonly name: string;
  readonly spec: KnockSpec;
}

export const knock: ServiceKind<readonly NamedKnock[]> = {
  name: 'knocks',
  section: ({ sections }) => {
    const entries = [...(sections.get('knocks')?.values() ?? [])];
    return entries.length === 0 ? undefined : entries.map(({ name, spec }) => ({ name, spec: spec as KnockSpec }));
  },
  files: (knocks) =>
    knocks.flatMap(({ spec }) => [spec.open_secret, spec.close_secret].flatMap((one) => one?.file ?? [])),
  create: (knocks, context) => new KnockService(knocks, context),
};

/** As the rules copy. */
const copyBytes = 512;

class KnockService implements Service {
  #receiver: KnockReceiver | undefined;
  #stop: (() => Promise<void>) | undefined;

  constructor(
    readonly knocks: readonly NamedKnock[],
    readonly context: ServiceContext,
  ) {}

  async start(): Promise<void> {
    const { engine, store, log, now, copies } = this.context;
    if (copies === undefined)
      throw new PosternError('unsupported', 'knocks need copies of packets, which are off here');
    const receiver = new KnockReceiver(await this.#secrets(), {
      knocks: engine.knocks,
      window: store?.replayWindow('spa') ?? new MemoryReplayWindow(now),
      log,
      now,
    });
    this.#receiver = receiver;
    const group = engine.policy.current?.plan.duties.find(({ kind }) => kind === 'knock')?.nflogGroup;
    if (group === undefined) throw new PosternError('internal', 'the plan has no group for knocks');
    this.#stop = await copies.listen(group, copyBytes, ({ prefix, packet }) => receiver.receive(prefix, packet));
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    await this.#receiver?.settled();
  }

  status(): string {
    return this.knocks
      .map(
        ({ name, spec }) =>
          `${name} ${spec.spa === undefined ? `${spec.protocol} ${spec.ports?.join(' ')}` : `spa ${spec.spa}`}`,
      )
      .join(', ');
  }

  metrics(): readonly MetricFamily[] {
    const counts = [...(this.#receiver?.counts ?? [])];
    const samples = counts.flatMap(([name, results]) =>
      [...results].map(([result, value]) => ({ labels: { knock: name, result }, value })),
    );
    return [
      {
        name: 'postern_knocks_total',
        help: 'Knocks that came to the daemon, by what became of them.',
        type: 'counter',
        labels: ['knock', 'result'],
        samples,
      },
    ];
  }

  async #secrets(): Promise<ReadonlyMap<string, KnockSecrets>> {
    const secrets = new Map<string, KnockSecrets>();
    for (const { name, spec } of this.knocks) {
      if (spec.open_secret === undefined || spec.close_secret === undefined) continue;
      const [open, close] = [
        await this.#secret(spec.open_secret.file, name),
        await this.#secret(spec.close_secret.file, name),
      ];
      if (open.equals(close))
        throw new PosternError('invalid', `knock ${name}: its two secrets are equal; take another`);
      secrets.set(name, { open, close });
    }
    return secrets;
  }

  async #secret(file: string, name: string): Promise<Buffer> {
    const secret = withoutNewline(await readSecret(file, `a secret of knock ${name}`, this.context.log));
    if (secret.length === 0) throw new PosternError('invalid', `${file} is empty: it holds a secret of knock ${name}`);
    return secret;
  }
}
