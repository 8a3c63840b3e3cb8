/** The policy's `knocks:` section as a service. */

import { PosternError } from '../../errors.js';
import { knockCopyBytes } from '../../extensions/knock-copies.js';
import type { KnockSpec } from '../../extensions/knock-spec.js';
import { RawSender } from '../../kernel/raw-sender.js';
import { encodePacket, type Packet } from '../../wire/packet.js';
import { copiesOf } from '../copies.js';
import { counter, type MetricFamily } from '../metric-family.js';
import { MemoryReplayWindow } from '../replay-window.js';
import { readSecret, withoutNewline } from '../secret.js';
import type { Service, ServiceContext, ServiceKind } from '../service.js';
import { readClients } from './clients.js';
import { type KnockKeys, KnockReceiver } from './receiver.js';

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
    knocks.flatMap(({ spec }) => [spec.open_secret, spec.close_secret, spec.clients].flatMap((one) => one?.file ?? [])),
  create: (knocks, context) => new KnockService(knocks, context),
};

class KnockService implements Service {
  #receiver: KnockReceiver | undefined;
  #stop: (() => Promise<void>) | undefined;
  /** Made with the first reply: no socket is bound to the port, so that nothing shows there is one. */
  #sender: RawSender | undefined;

  constructor(
    readonly knocks: readonly NamedKnock[],
    readonly context: ServiceContext,
  ) {}

  async start(): Promise<void> {
    const { engine, store, log, now } = this.context;
    const copies = copiesOf(this.context, 'knocks need');
    const receiver = new KnockReceiver(await this.#keys(), {
      knocks: engine.knocks,
      window: store?.replayWindow('spa') ?? new MemoryReplayWindow(now),
      log,
      answer: (to, payload) => this.#answer(to, payload),
      now,
    });
    this.#receiver = receiver;
    const group = engine.policy.current?.plan.duties.find(({ kind }) => kind === 'knock')?.nflogGroup;
    if (group === undefined) throw new PosternError('internal', 'the plan has no group for knocks');
    this.#stop = await copies.listen(group, knockCopyBytes, ({ prefix, packet }) => receiver.receive(prefix, packet));
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    await this.#receiver?.settled();
    this.#sender?.close();
  }

  status(): string {
    return this.knocks.map(({ name, spec }) => `${name} ${wayOf(spec)}`).join(', ');
  }

  metrics(): readonly MetricFamily[] {
    const counts = [...(this.#receiver?.counts ?? [])];
    const samples = counts.flatMap(([name, results]) =>
      [...results].map(([result, value]) => ({ labels: { knock: name, result }, value })),
    );
    return [
      counter(
        'postern_knocks_total',
        'Knocks that came to the daemon, by what became of them.',
        ['knock', 'result'],
        samples,
      ),
    ];
  }

  #answer({ source, destination, protocol, udp }: Packet, payload: Buffer): void {
    if (udp === undefined) return;
    const ports = { sourcePort: udp.destinationPort, destinationPort: udp.sourcePort };
    const packet = encodePacket({ source: destination, destination: source, protocol, udp: ports, payload });
    this.#sender ??= new RawSender();
    this.#sender.queue(packet);
    this.#sender.flush();
  }

  async #keys(): Promise<ReadonlyMap<string, KnockKeys>> {
    const keys = new Map<string, KnockKeys>();
    for (const { name, spec } of this.knocks) {
      if (spec.clients !== undefined)
        keys.set(name, { clients: await this.#clients(spec.clients.file, name), reply: spec.reply });
      if (spec.open_secret === undefined || spec.close_secret === undefined) continue;
      const [open, close] = [
        await this.#secret(spec.open_secret.file, name),
        await this.#secret(spec.close_secret.file, name),
      ];
      if (open.equals(close))
        throw new PosternError('invalid', `knock ${name}: its two secrets are equal; take another`);
      keys.set(name, { secrets: { open, close } });
    }
    return keys;
  }

  async #clients(file: string, name: string) {
    return readClients((await readSecret(file, `the clients of knock ${name}`, this.context.log)).toString(), file);
  }

  async #secret(file: string, name: string): Promise<Buffer> {
    const secret = withoutNewline(await readSecret(file, `a secret of knock ${name}`, this.context.log));
    if (secret.length === 0) throw new PosternError('invalid', `${file} is empty: it holds a secret of knock ${name}`);
    return secret;
  }
}

function wayOf({ ports, protocol, spa, spa2 }: KnockSpec): string {
  if (ports !== undefined) return `${protocol} ${ports.join(' ')}`;
  return spa === undefined ? `spa2 ${spa2}` : `spa ${spa}`;
}
