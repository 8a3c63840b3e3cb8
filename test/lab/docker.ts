/** The docker daemon that the lab runs on: the one that is there, or one of its own that is gone with it. */

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

export interface Docker {
  /** The folder of a daemon of the lab's own; absent: one that was there. */
  readonly folder?: string;
}

interface RunOptions {
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const longestRunMs = 600_000;
const longestStartMs = 60_000;
const longestStopMs = 30_000;

/** Ends what is under way. */
export const interruption = new AbortController();

/**
 * Runs a program to its end and answers its output.
 * @throws Error with what it said, when it fails.
 */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  interruption.signal.throwIfAborted();
  const { env = {}, timeoutMs = longestRunMs } = options;
  // In a group of its own, so that Ctrl+C reaches the lab alone, which ends what there is in the right order.
  const child = execa(file, args, { env, timeout: timeoutMs, detached: true, stdin: 'ignore' });
  const end = () => void (child.pid !== undefined && process.kill(-child.pid, 'SIGTERM'));
  interruption.signal.addEventListener('abort', end);
  try {
    return (await child).stdout;
  } finally {
    interruption.signal.removeEventListener('abort', end);
  }
}

/** Waits for something that takes its time. @throws Error when it doesn't come. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(200);
  }
}

/** The environment in which docker's programs reach it. */
export function reaching({ folder }: Docker): Record<string, string> {
  return folder === undefined ? {} : { DOCKER_HOST: `unix://${socketIn(folder)}` };
}

const socketIn = (folder: string) => join(folder, 'docker.sock');
const processFileIn = (folder: string) => join(folder, 'docker.pid');

export async function answers(docker: Docker): Promise<boolean> {
  return run('docker', ['info'], { env: reaching(docker), timeoutMs: 20_000 }).then(
    () => true,
    () => false,
  );
}

/** The daemon that is there, or else one that is started. @throws Error that says what to do. */
export async function findDocker(): Promise<Docker> {
  return (await answers({})) ? {} : startDaemon();
}

async function startDaemon(): Promise<Docker> {
  if (process.getuid?.() !== 0) {
    throw new Error('no docker daemon answers, and only root can start one: start docker, or run this as root');
  }
  return startDaemonIn(await mkdtemp(join(tmpdir(), 'postern-lab-')));
}

/**
 * Starts a daemon over what there is in a folder: without rules of its own in the host's firewall, without a bridge, and
 * without changing what the host forwards. When it doesn't start, the folder is removed.
 */
export async function startDaemonIn(folder: string): Promise<Docker> {
  const log = openSync(join(folder, 'dockerd.log'), 'a');
  const child = spawn(
    'dockerd',
    [
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
      ...['--host', `unix://${socketIn(folder)}`, '--pidfile', processFileIn(folder)],
      ...['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--bridge=none'],
    ],
    { detached: true, stdio: ['ignore', log, log] },
  );
  closeSync(log);
  child.unref();
  let ended: string | undefined;
  child.once('error', ({ message }) => {
    ended = `dockerd can't be started (${message}); install it: apt-get install docker.io`;
  });
  child.once('exit', () => {
    ended = 'dockerd ended at its start';
  });
  const docker = { folder };
  try {
    const settled = async () => ended !== undefined || interruption.signal.aborted || (await answers(docker));
    await until('dockerd answers', settled, longestStartMs);
    interruption.signal.throwIfAborted();
    if (ended !== undefined) throw new Error(ended);
    return docker;
  } catch (error) {
    const said = (await readFile(join(folder, 'dockerd.log'), 'utf8')).trim().split('\n').slice(-5).join('\n');
    await stopDocker(docker);
    throw new Error(`${(error as Error).message}\n${said}`.trimEnd(), { cause: error });
  }
}

/** Ends a daemon of the lab's own and removes all it had. Another one is left alone. */
export async function stopDocker({ folder }: Docker): Promise<void> {
  if (folder === undefined) return;
  const id = daemonOf(folder);
  if (id !== undefined) {
    process.kill(id, 'SIGTERM');
    await until('dockerd ends', () => daemonOf(folder) === undefined, longestStopMs).catch(() =>
      process.kill(id, 'SIGKILL'),
    );
  }
  await unmountBelow(folder);
  await rm(folder, { recursive: true, force: true });
}

/** The process id of a daemon of the lab's own, while it runs. */
export function daemonOf(folder: string): number | undefined {
  try {
    const id = Number(readFileSync(processFileIn(folder), 'utf8'));
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0').includes(processFileIn(folder)) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** A daemon that was killed leaves mounts behind; the last one first. */
async function unmountBelow(folder: string): Promise<void> {
  const places = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const place of places.filter((one) => one.startsWith(`${folder}/`)).reverse()) {
    await execa('umount', ['--lazy', place], { reject: false });
  }
}
