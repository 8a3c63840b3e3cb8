import { asPosternError } from '../errors.js';
import { command, type Io } from './command.js';
import type { Daemon } from './daemon/daemon.js';
import { LineLog } from './daemon/line-log.js';
import { defaultPolicy, defaultSocket, defaultState, placeOptions } from './defaults.js';

/** What takes longer to end is ended. */
const longestStopMs = 15_000;

export const run = command({
  summary: 'run the daemon',
  about: `Applies the policy, keeps the kernel and the policy in step, and takes updates of tables. It stays in the
foreground and logs to standard error. SIGHUP applies the policy file again; SIGTERM and SIGINT end it and leave the
kernel as it is: rules, bans and counters go on, and the next start takes them over.`,
  options: {
    policy: { type: 'string', short: 'p', value: 'FILE', help: `the policy; ${defaultPolicy} if not given` },
    ...placeOptions,
    socket: { type: 'string', value: 'PATH', help: `where commands reach it; POSTERN_SOCKET, or ${defaultSocket}` },
    json: { type: 'boolean', help: 'log as JSON, one object a line' },
  },
  examples: [{ command: 'postern run --policy rules/demo.yaml --netns fw --state /tmp/demo', what: 'in a namespace' }],
  async run({ values, io }) {
    const { keepHeapSmall } = await import('./daemon/heap.js');
    keepHeapSmall();
    const { startDaemon } = await import('./daemon/daemon.js');
    const log = logOf(io, values.json === true);
    catchDefects(log);
    const ended = signal('SIGTERM', 'SIGINT');
    let daemon: Daemon | undefined;
    process.on('SIGHUP', () => {
      if (daemon === undefined) log.info('SIGHUP: the policy is being applied already');
      else void reload(daemon, log);
    });
    daemon = await startDaemon({
      policyFile: values.policy ?? defaultPolicy,
      stateFolder: values.state ?? defaultState(values.netns),
      socket: values.socket ?? io.env.POSTERN_SOCKET ?? defaultSocket,
      log,
      ...(values.netns !== undefined && { netns: values.netns }),
    });
    log.info(`${await ended}: stopping; the kernel stays as it is`);
    setTimeout(() => {
      log.error(`something doesn't end within ${longestStopMs / 1000} s`);
      process.exit(1);
    }, longestStopMs).unref();
    await daemon.stop();
    log.info('stopped');
    return 0;
  },
});

function logOf(io: Io, json: boolean): LineLog {
  return new LineLog({ json, now: Date.now, write: (line) => io.err(line) });
}

/** Settles at the first of the signals. */
function signal(...names: NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of names) process.once(name, () => resolve(name));
  });
}

async function reload(daemon: Daemon, log: LineLog): Promise<void> {
  try {
    const { diff } = await daemon.reload();
    if (diff.empty) log.info('SIGHUP: nothing to change');
  } catch (error) {
    const { messageLines } = await import('./report.js');
    for (const line of await messageLines(error)) log.error(`SIGHUP: ${line}`);
    log.error('SIGHUP: the policy stays as it was');
  }
}

/** A defect ends the daemon, loudly; the service manager starts it again and the kernel goes on meanwhile. */
function catchDefects(log: LineLog): void {
  const end = (thrown: unknown) => {
    const error = asPosternError(thrown);
    log.error(`defect: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : error.message}`);
    process.exit(error.exitStatus);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}
