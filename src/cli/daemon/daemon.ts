/** The daemon: engine, services and API put together. */

import { resolve } from 'node:path';
import type { ApiParts } from '../../api/api.js';
import { openSocket } from '../../api/listen.js';
import { claimSocket } from '../../api/unix-socket.js';
import type { Engine } from '../../engine/engine.js';
import type { ApplyOptions, ApplyResult, CompiledPolicy } from '../../engine/policy-control.js';
import { PosternError } from '../../errors.js';
import { enterNamespace } from '../../kernel/netns.js';
import { openNft } from '../../kernel/nft.js';
import { packetCopies } from '../../kernel/packet-copies.js';
import { openPackets } from '../../kernel/packets.js';
import { assertRequired } from '../../kernel/probe.js';
import { ipp2p } from '../../services/ipp2p/service.js';
import { knock } from '../../services/knock/service.js';
import { logmark } from '../../services/logmark/service.js';
import { pftabled } from '../../services/pftabled/service.js';
import { psd } from '../../services/psd/service.js';
import { responder } from '../../services/responder/service.js';
import type { Log, ServiceKind } from '../../services/service.js';
import { sysrq } from '../../services/sysrq/service.js';
import { compileText, readPolicyFile } from '../policy-file.js';
import { packageVersion } from '../version.js';
import { apiListeners } from './api-listeners.js';
import { Closers } from './closers.js';
import { logEvents } from './event-log.js';
import { type Ground, openGround } from './ground.js';
import { takeIn } from './import-state.js';
import { Services } from './services.js';
import { lockState } from './state-folder.js';

/** What a policy can ask the daemon for. A new service is one entry here. */
const serviceKinds = [pftabled, knock, sysrq, responder, logmark, ipp2p, psd] as readonly ServiceKind[];

export interface DaemonOptions {
  readonly policyFile: string;
  readonly stateFolder: string;
  readonly socket: string;
  /** Name of a network namespace that the whole process moves into. */
  readonly netns?: string;
  readonly log: Log;
}

export interface Daemon {
  /** Applies the policy file as it is now and brings the services to it. @throws PosternError; all is as before then. */
  reload(options?: ApplyOptions): Promise<ApplyResult>;
  /** Ends what it does and leaves the kernel as it is. */
  stop(): Promise<void>;
}

/**
 * Starts everything. When something can't start, what was started is stopped.
 * @throws PosternError `policy` (the kernel is as it was), `conflict` (another daemon has the state folder or the
 * socket), and whatever the parts throw.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { log } = options;
  const closers = new Closers((message) => log.error(`stopping: ${message}`));
  try {
    return { reload: await start(options, closers.add), stop: () => closers.close() };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

type Reload = Daemon['reload'];

async function start(
  { policyFile, stateFolder, socket, netns, log }: DaemonOptions,
  onStop: Closers['add'],
): Promise<Reload> {
  const startedAt = Date.now();
  if (netns !== undefined) enterNamespace(netns);
  const notify = (notice: string) => log.warn(`store: ${notice}`);
  onStop(lockState(stateFolder, notify));
  await assertRequired(openNft());
  const claim = await claimSocket(socket);
  onStop(claim.release);
  const path = resolve(policyFile);
  const ground = await openGround({
    stateFolder,
    readPolicy: () => readPolicyFile(path),
    notify,
    onStop,
  });
  logEvents(ground.engine, log, Date.now);
  await ground.engine.start();

  const { parts, bring } = attach(ground, { log, startedAt, socket, onStop });
  await bring();
  const api = await openSocket(claim, parts);
  onStop(api.close);
  log.info(`ready: ${api.where}, policy ${path}`);
  return parts.reload;
}

interface Surroundings {
  readonly log: Log;
  readonly startedAt: number;
  readonly socket: string;
  readonly onStop: Closers['add'];
}

/** The services over the engine, and what the API speaks for. */
function attach({ engine, store, audit }: Ground, { log, startedAt, socket, onStop }: Surroundings) {
  const copies = packetCopies(openPackets, (error) => log.error(error.message));
  onStop(() => copies.close());
  const context = { engine, store, copies, audit: audit.event.bind(audit), log, now: Date.now };
  const reload: Reload = async (how = {}) => {
    const result = await engine.policy.apply(undefined, how);
    await bring();
    return result;
  };
  const parts: ApiParts = {
    engine,
    log,
    version: packageVersion(),
    now: Date.now,
    startedAt,
    reload,
    why: async (packet, source) => {
      const { plan: loaded } = inForce(engine);
      const compiled = source === undefined ? inForce(engine) : compileText(source, loaded.manifest);
      const { askWhy } = await import('../live-why.js');
      return askWhy({ compiled, loaded, packet });
    },
    whyAddress: async (address) => {
      const compiled = inForce(engine);
      const [{ askAddress }, { booksOf }] = await Promise.all([import('../live-address.js'), import('./books.js')]);
      return askAddress({ address, compiled, loaded: compiled.plan, books: await booksOf(engine, address) });
    },
    services: () => [...services.views(), ...listeners.views()],
    store: () => store.status(),
    importState: (lines, who) => takeIn({ store, engine, audit }, lines, who),
  };
  const services = new Services(serviceKinds, context);
  const listeners = new Services([apiListeners(parts, socket)] as readonly ServiceKind[], context);
  onStop(() => services.stop());
  onStop(() => listeners.stop());
  const bring = async () => {
    const { policy } = engine.policy.current!;
    // Not waited for: a listener that goes waits for its requests, of which the one for this reload may be one.
    void listeners.bring(policy);
    await services.bring(policy);
  };
  engine.events.on('policy', ({ what }) => {
    if (what === 'rolled-back') void bring();
  });
  return { parts, bring };
}

/** @throws PosternError `not-found` before the first policy. */
function inForce({ policy }: Engine): CompiledPolicy {
  if (policy.current === undefined) throw new PosternError('not-found', 'no policy is in force yet');
  return policy.current;
}
