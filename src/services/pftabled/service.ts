/** The policy's `pftabled:` section as a service. */

import { readFile, stat } from 'node:fs/promises';
import { PosternError } from '../../errors.js';
import type { PftabledSection } from '../../policy/ast.js';
import { pftabledKey } from '../../wire/pftabled.js';
import { counter, type MetricFamily } from '../metric-family.js';
import { MemoryReplayWindow } from '../replay-window.js';
import type { Log, Service, ServiceContext, ServiceKind } from '../service.js';
import { formatEndpoint, listenUdp, type UdpListener } from '../udp.js';
import { PftabledReceiver } from './receiver.js';
import type { PftabledRules } from './verify.js';

export const pftabled: ServiceKind<PftabledSection> = {
  name: 'pftabled',
  section: (policy) => policy.pftabled,
  files: ({ keyFile }) => (keyFile === undefined ? [] : [keyFile]),
  create: (section, context) => new PftabledService(section, context),
};

class PftabledService implements Service {
  #receiver: PftabledReceiver | undefined;
  #listener: UdpListener | undefined;

  constructor(
    readonly section: PftabledSection,
    readonly context: ServiceContext,
  ) {}

  async start(): Promise<void> {
    const { engine, store, log, now } = this.context;
    const { listen, timeoutMs } = this.section;
    const receiver = new PftabledReceiver(await this.#rules(), {
      tables: engine.tables,
      window: store?.replayWindow('pftabled') ?? new MemoryReplayWindow(now),
      log,
      now,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    this.#receiver = receiver;
    this.#listener = await listenUdp(listen.address, listen.port, {
      datagram: (bytes, peer) => receiver.receive(bytes, peer),
      lost: (datagrams) => receiver.lost(datagrams),
      trouble: (error) => log.warn(`pftabled: ${error.message}`),
    });
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
    await this.#receiver?.settled();
  }

  status(): string {
    const { listen, tables, force, keyFile } = this.section;
    const where = formatEndpoint(listen.address, this.#listener?.port ?? listen.port);
    const what = force === undefined ? `tables ${tables.join(' ')}` : `table ${force} for every request`;
    return `udp ${where}, ${what}${keyFile === undefined ? ', unsigned' : ''}`;
  }

  metrics(): readonly MetricFamily[] {
    return [
      counter(
        'postern_pftabled_datagrams_total',
        'Datagrams of pftabled clients, by what became of them.',
        ['result'],
        [...(this.#receiver?.counts ?? [])].map(([result, value]) => ({ labels: { result }, value })),
      ),
    ];
  }

  async #rules(): Promise<PftabledRules> {
    const { tables, force, keyFile } = this.section;
    return {
      tables: new Set(tables),
      ...(force === undefined ? {} : { force }),
      ...(keyFile === undefined ? {} : { key: await readKey(keyFile, this.context.log) }),
    };
  }
}

/** @throws PosternError `system`, `invalid`. */
async function readKey(path: string, log: Log) {
  const [bytes, { mode }] = await Promise.all([readFile(path), stat(path)]).catch((cause: Error) => {
    throw new PosternError('system', `can't read the pftabled key: ${cause.message}`, { cause });
  });
  if ((mode & 0o077) !== 0)
    log.warn(`pftabled: others can read the key in ${path}; make it so with: chmod 600 ${path}`);
  try {
    return pftabledKey(bytes);
  } catch (cause) {
    throw new PosternError('invalid', `${path}: ${(cause as Error).message}`, { cause });
  }
}
