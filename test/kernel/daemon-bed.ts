/** A daemon in a network namespace, and commands that talk to it, as users run them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa, type ResultPromise } from 'execa';
import { type Namespace, namespace, type Scope, until } from './namespace.js';

export const program = fileURLToPath(new URL('../../src/cli/postern.cjs', import.meta.url));

/** On a machine that is busy with other tests. */
const longestStartMs = 60_000;

export interface Outcome {
  readonly status: number | undefined;
  readonly out: string;
  readonly err: string;
}

export interface RunningDaemon {
  readonly pid: number;
  /** What it has logged. */
  log(): string;
  /** Sends SIGTERM and answers how it ended. */
  stop(): Promise<Outcome>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
}

export class DaemonBed {
  readonly folder = mkdtempSync(join(tmpdir(), 'postern-daemon-'));
  readonly policy = join(this.folder, 'policy.yaml');
  readonly socket = join(this.folder, 'api.sock');
  readonly state = join(this.folder, 'state');
  readonly #children = new Set<ResultPromise>();

  private constructor(readonly space: Namespace) {}

  static async open(scope: Scope, policy: string): Promise<DaemonBed> {
    const bed = new DaemonBed(await namespace(scope));
    scope.after(async () => {
      for (const child of bed.#children) child.kill('SIGKILL');
      await Promise.allSettled(bed.#children);
      rmSync(bed.folder, { recursive: true, force: true });
    });
    bed.write(policy);
    return bed;
  }

  write(policy: string): void {
    writeFileSync(this.policy, policy);
  }

  /** Arguments of `run`, and of the commands that need no daemon. */
  get places(): string[] {
    return ['--netns', this.space.name, '--state', this.state];
  }

  /** Starts a daemon and waits until it is ready. @throws with its log when it ends instead. */
  async start(...more: readonly string[]): Promise<RunningDaemon> {
    const child = this.#spawn(['run', '--policy', this.policy, ...this.places, ...more]);
    let log = '';
    let ended = false;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    void child.finally(() => {
      ended = true;
    });
    await until(
      'the daemon is ready',
      () => {
        if (ended) throw new Error(`the daemon ended:\n${log}`);
        return log.includes('ready: ');
      },
      longestStartMs,
    );
    return {
      pid: child.pid!,
      log: () => log,
      stop: async () => {
        child.kill('SIGTERM');
        return outcome(await child);
      },
      kill: async () => {
        child.kill('SIGKILL');
        await child;
      },
    };
  }

  /** Runs a command to its end. */
  async postern(...args: readonly string[]): Promise<Outcome> {
    return outcome(await this.#spawn(args));
  }

  /** Runs a command with this on its standard input. */
  async feed(input: string, ...args: readonly string[]): Promise<Outcome> {
    return outcome(await this.#spawn(args, input));
  }

  /** Runs a command line of the shell; `postern` is ours. */
  async shell(line: string): Promise<Outcome> {
    const define = `postern() { ${process.execPath} ${program} "$@"; }; `;
    return outcome(
      await execa('bash', ['-c', define + line], { reject: false, env: this.#env, stripFinalNewline: false }),
    );
  }

  /** What `run` says and how it ends when it can't start. */
  failedStart(...more: readonly string[]): Promise<Outcome> {
    return this.postern('run', '--policy', this.policy, ...this.places, ...more);
  }

  get #env() {
    return { POSTERN_SOCKET: this.socket };
  }

  #spawn(args: readonly string[], input = ''): ResultPromise<{ reject: false; stripFinalNewline: false }> {
    const child = execa(process.execPath, [program, ...args], {
      env: this.#env,
      input,
      reject: false,
      stripFinalNewline: false,
      timeout: 120_000,
    });
    this.#children.add(child);
    void child.finally(() => this.#children.delete(child));
    return child;
  }
}

function outcome({ exitCode, stdout, stderr }: { exitCode?: number; stdout: string; stderr: string }): Outcome {
  return { status: exitCode, out: stdout, err: stderr };
}
