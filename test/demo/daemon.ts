/** The daemon under demonstration, with its policy, key, state and socket in a folder of its own. */

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { type Namespace, until } from '../kernel/namespace.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
export const program = join(root, 'dist/src/cli/postern.cjs');

export interface Daemon {
  readonly folder: string;
  readonly socket: string;
  readonly key: string;
  /** Runs a command of `postern` against the daemon and answers its output. */
  postern(...args: readonly string[]): Promise<string>;
  /** What the API answers to a request, as curl would get it. */
  http(method: string, path: string, body?: unknown): Promise<string>;
  stop(): Promise<void>;
}

const keyBytes = 20;

/** On a machine that is busy with other things. */
const longestStartMs = 30_000;

export async function startDaemon(firewall: Namespace): Promise<Daemon> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-demo-'));
  const [socket, key, policy] = ['api.sock', 'pftabled.key', 'demo.yaml'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await copyFile(join(root, 'rules/demo.yaml'), policy);
  await writeFile(key, randomBytes(keyBytes), { mode: 0o600 });
  const child = execa(
    process.execPath,
    [
      program,
      'run',
      '--policy',
      policy,
      '--netns',
      firewall.name,
      '--state',
      join(folder, 'state'),
      '--socket',
      socket,
    ],
    { reject: false, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  );
  process.once('exit', () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  let ended = false;
  child.finally(() => {
    ended = true;
  });

  const daemon: Daemon = {
    folder,
    socket,
    key,
    async postern(...args) {
      const { stdout } = await execa(process.execPath, [program, ...args], { env: { POSTERN_SOCKET: socket } });
      return stdout;
    },
    http: (method, path, body) => ask(socket, method, path, body),
    async stop() {
      child.kill('SIGTERM');
      await child;
    },
  };
  await until(
    'the daemon is ready',
    async () => {
      if (ended) throw new Error(`the daemon ended at its start:\n${(await child).stderr}`);
      return daemon.http('GET', '/readyz').then(
        () => true,
        () => false,
      );
    },
    longestStartMs,
  );
  return daemon;
}

/** One request as curl sends it. @throws Error with the answer, unless its status is 2xx. */
function ask(socketPath: string, method: string, path: string, body?: unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const asking = request({ socketPath, method, path, headers, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      if (Math.floor(response.statusCode! / 100) === 2) resolve(text);
      else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
    });
    asking.once('error', reject);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
