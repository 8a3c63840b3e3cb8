/** The daemon under demonstration, with its policy, key, state and socket in a folder of its own. */

import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { type Namespace, until } from '../kernel/namespace.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
export const program = join(root, 'dist/src/cli/main.js');

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
    async http(method, path, body) {
      const { daemonAt } = await import('../../src/cli/client.js');
      const client = daemonAt(socket);
      return body === undefined
        ? client.askText(method as 'GET', path)
        : JSON.stringify(await client.ask(method as 'POST', path, body));
    },
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
