/** The daemon: kernel, store, engine, services and API put together, and taken apart in the opposite order. */

import { resolve } from 'node:path';
import type { ApiParts } from '../../api/api.js';
import { openSocket } from '../../api/listen.js';
import { claimSocket } from '../../api/unix-socket.js';
import { createEngine } from '../../engine/create.js';
import type { Engine } from '../../engine/engine.js';
import type { ApplyOptions, ApplyResult } from '../../engine/policy-control.js';
import { asPosternError } from '../../errors.js';
import { enterNamespace } from '../../kernel/netns.js';
import { openKernel } from '../../kernel/open.js';
import { pftabled } from '../../services/pftabled/service.js';
import type { Log, ServiceKind } from '../../services/service.js';
import type { Store } from '../../store/store.js';
import { compileText, readPolicyFile } from '../policy-file.js';
import { packageVersion } from '../version.js';
import { apiListeners } from './api-listeners.js';
import { logEvents } from './event-log.js';
import { Services } from './services.js';
import { lockState, openStoreIn } from './state-folder.js';

/** What a policy can ask the daemon for. A new service is one line here. */
const serviceKinds = [pftabled] as readonly ServiceKind[];

export interface DaemonOptions {
  readonly policyFile: string;
  readonly stateFolder: string;
  readonly socket: string;
  /** Name of a network namespace that the whole process moves into. */
  readonly netns?: string;
  readonly log: Log;
}

export interface Daemon {
  /** Applies the policy file as it is now and brings the services to it. @throws PosternError; then all is as before. */
  reload(options?: ApplyOptions): Promise<ApplyResult>;
  /** Ends what it does and leaves the kernel as it is. */
  stop(): Promise<void>;
}

/**
 * Starts everything. When a part can't start, what was started is stopped, and the kernel is as it was.
 * @throws PosternError `policy` (bad policy), `conflict` (another daemon has the state folder or the socket) …
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) {
      await Promise.resolve(close()).catch((error) => options.log.error(`stopping: ${asPosternError(error).message}`));
    }
  };
  try {
    return { ...(await start(options, (close) => closers.push(close))), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type OnStop = (close: () => Promise<void> | void) => void;

async function start(options: DaemonOptions, onStop: OnStop): Promise<Pick<Daemon, 'reload'>> {
  const { log, netns } = options;
  const startedAt = Date.now();
  if (netns !== undefined) enterNamespace(netns);
  onStop(lockState(options.stateFolder));
  const claim = await claimSocket(options.socket);
  onStop(claim.release);
  const store = await openStoreIn(options.stateFolder, (notice) => log.warn(`store: ${notice}`));
  onStop(() => store.close());
  const engine = await startEngine(options, store, onStop);

  const context = { engine, store, log, now: Date.now };
  const services = new Services(serviceKinds, context);
  const reload = async (how: ApplyOptions = {}) => {
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
    services: () => [...services.views(), ...listeners.views()],
    store: () => store.status(),
  };
  const listeners = new Services([apiListeners(parts, options.socket)] as readonly ServiceKind[], context);
  const bring = async () => {
    const { policy } = engine.policy.current!;
    // Not waited for: a listener that goes waits for its requests, of which this may be one.
    void listeners.bring(policy);
    await services.bring(policy);
  };
  engine.events.on('policy', ({ what }) => {
    if (what === 'rolled-back') void bring();
  });
  onStop(() => services.stop());
  await services.bring(engine.policy.current!.policy);
  onStop(() => listeners.stop());
  await listeners.bring(engine.policy.current!.policy);
  const api = await openSocket(claim, parts);
  onStop(api.close);
  log.info(`ready: ${api.where}, policy ${engine.policy.current!.source.file}`);
  return { reload };
}

async function startEngine(
  { policyFile, stateFolder, log }: DaemonOptions,
  store: Store,
  onStop: OnStop,
): Promise<Engine> {
  // Read again at every reload, from whatever folder that is asked for.
  const path = resolve(policyFile);
  const kernel = await openKernel();
  onStop(() => kernel.close());
  const engine = createEngine({
    kernel,
    store,
    stateFolder,
    readPolicy: async () => readPolicyFile(path),
    compile: async (source, previous) => compileText(source, previous),
  });
  logEvents(engine, log, Date.now);
  onStop(() => engine.stop());
  await engine.start();
  return engine;
}
