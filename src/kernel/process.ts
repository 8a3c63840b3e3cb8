/** Other programs, run to their end: what they were given, what they said, and how they ended. */

import { spawn } from 'node:child_process';

export interface ProcessOptions {
  /** For standard input. */
  readonly input: string;
  readonly timeoutMs: number;
  /** Told the process id. */
  readonly started?: ((processId: number) => void) | undefined;
}

/** One of `status`, `signal` and `error` says how it ended. */
export interface ProcessResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status?: number;
  readonly signal?: NodeJS.Signals;
  /** It could not be started. */
  readonly error?: NodeJS.ErrnoException;
  /** It took longer than it may, and was stopped. */
  readonly timedOut: boolean;
}

/** Runs a program in the C locale. Never rejects. */
export function runProcess(
  file: string,
  args: readonly string[],
  { input, timeoutMs, started }: ProcessOptions,
): Promise<ProcessResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C' } });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const end = (how: Pick<ProcessResult, 'status' | 'signal' | 'error'>): void => {
      clearTimeout(timer);
      const [out, err] = [Buffer.concat(stdout).toString('utf8'), Buffer.concat(stderr).toString('utf8')];
      resolve({ stdout: out, stderr: err, timedOut, ...how });
    };
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    child.on('error', (error: NodeJS.ErrnoException) => end({ error }));
    child.on('close', (status, signal) =>
      end({ ...(status !== null && { status }), ...(signal !== null && { signal }) }),
    );
    // A program that ends before it has read everything says why itself.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    if (child.pid !== undefined) started?.(child.pid);
  });
}
