/** A daemon in a namespace that is killed and started again, and what kernel, store and API say of its tables. */

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa, type ResultPromise } from 'execa';
import type { EngineState } from '../../../src/engine/state-file.js';
import { formatPrefix, parsePrefix } from '../../../src/net/prefix.js';
import { nodeDisk } from '../../../src/store/disk.js';
import { readFolder } from '../../../src/store/read-folder.js';
import { type Namespace, namespace, type Scope, until } from '../namespace.js';
import { RestClient } from './rest-client.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const program = join(root, 'dist/src/cli/postern.cjs');
const sender = fileURLToPath(new URL('../datagram-sender.js', import.meta.url));

export const pftabledPort = 56_789;

const policy = `
version: 1
tables:
  datagrams: { timeout: 1h, size: 200000 }
  requests: { timeout: 1h, size: 200000 }
  whole: { size: 200000 }
chains:
  input:
    rules:
      - { from: <datagrams>, do: drop }
      - { from: <requests>, do: drop }
      - { from: <whole>, do: drop }
pftabled:
  listen: 127.0.0.1:${pftabledPort}
  key: { file: pftabled.key }
  tables: [datagrams]
`;

/** When nothing was counted for so long, nothing is on its way. */
const quietMs = 100;

/** Addresses, each with the seconds that are left, or undefined when it stays. */
export type Contents = ReadonlyMap<string, number | undefined>;

export class CrashWorld {
  readonly key = randomBytes(20);
  readonly rest: RestClient;
  space!: Namespace;
  #daemon: ResultPromise | undefined;
  /** How the daemon ended that nobody has killed. */
  #early: string | undefined;

  private constructor(
    readonly folder: string,
    private readonly scope: Scope,
  ) {
    this.rest = new RestClient(join(folder, 'api.sock'));
  }

  static async create(scope: Scope): Promise<CrashWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'postern-crash-'));
    const world = new CrashWorld(folder, scope);
    scope.after(async () => {
      await world.kill();
      world.rest.close();
      await rm(folder, { recursive: true, force: true });
    });
    await writeFile(join(folder, 'policy.yaml'), policy);
    await writeFile(join(folder, 'pftabled.key'), world.key, { mode: 0o600 });
    await world.enterNamespace();
    return world;
  }

  get state(): string {
    return join(this.folder, 'state');
  }

  /** As after a reboot: a namespace of which the kernel knows nothing. */
  async enterNamespace(): Promise<void> {
    await this.space?.remove();
    this.space = await namespace(this.scope);
  }

  /** Answers the milliseconds until it was ready. */
  async start(): Promise<number> {
    const startedAt = performance.now();
    const places = ['--netns', this.space.name, '--state', this.state, '--socket', this.rest.socketPath];
    const args = [program, 'run', '--policy', join(this.folder, 'policy.yaml'), ...places];
    const daemon = execa(process.execPath, args, { reject: false, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
    this.#daemon = daemon;
    void daemon.then(({ exitCode, signal, stderr }) => {
      if (this.#daemon === daemon) {
        this.#early = `the daemon ended by itself, status ${exitCode}, signal ${signal}; it said: ${stderr || 'nothing'}`;
      }
    });
    const isReady = async () => {
      this.checkAlive();
      return this.rest.send('GET', '/readyz').then(
        ({ status }) => status === 200,
        () => false,
      );
    };
    await until('the daemon is ready', isReady, 60_000);
    return performance.now() - startedAt;
  }

  /** Runs a command of `postern` on the same folder and namespace. */
  async postern(...args: readonly string[]): Promise<string> {
    const places = ['--netns', this.space.name, '--state', this.state];
    const { stdout } = await execa(process.execPath, [program, ...args, ...places]);
    return stdout;
  }

  /** @throws Error when the daemon ended and nobody has killed it. */
  checkAlive(): void {
    if (this.#early !== undefined) throw new Error(this.#early);
  }

  async kill(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    daemon?.kill('SIGKILL');
    await daemon;
  }

  /** Starts sending datagrams; answers what stops it. */
  async sendDatagrams(datagrams: readonly Buffer[], perSecond: number): Promise<() => Promise<void>> {
    const file = join(this.folder, 'datagrams');
    await writeFile(file, Buffer.concat(datagrams));
    const child = this.space.start(process.execPath, [sender, file, String(pftabledPort), String(perSecond)]);
    return async () => {
      child.kill('SIGKILL');
      await child;
    };
  }

  /** Sends them all and waits until they are sent. */
  async deliverDatagrams(datagrams: readonly Buffer[], perSecond: number): Promise<void> {
    const file = join(this.folder, 'datagrams');
    await writeFile(file, Buffer.concat(datagrams));
    await this.space.run(process.execPath, sender, file, String(pftabledPort), String(perSecond));
  }

  /** What nft lists, of the sets that the daemon keeps for the table. */
  async inKernel(table: string): Promise<Contents> {
    const { manifest } = JSON.parse(await readFile(join(this.state, 'engine.json'), 'utf8')) as EngineState;
    const contents = new Map<string, number | undefined>();
    for (const { table: family, name, role } of manifest.sets) {
      if (role.kind !== 'table' || role.table !== table) continue;
      const owner = manifest.tables.find((one) => one.family === family)!.name;
      const listing = await this.space.list('-j', 'list', 'set', family, owner, name).catch(() => undefined);
      if (listing === undefined) continue;
      for (const element of elementsOf(listing)) contents.set(...contentOf(element));
    }
    return contents;
  }

  /** Reads the disk as the next start will; answers what it holds of a table. */
  onDisk(): (table: string) => Contents {
    const { state } = readFolder(nodeDisk(join(this.state, 'store')));
    return (table) => {
      const contents = new Map<string, number | undefined>();
      for (const { op, prefix, expiresAt } of state.table(table)?.registers() ?? []) {
        if (op === 'add') contents.set(formatPrefix(prefix), expiresAt && (expiresAt - Date.now()) / 1_000);
      }
      return contents;
    };
  }

  /** What the API shows. */
  async shown(table: string): Promise<Contents> {
    const { entries } = await this.rest.ask<{ entries: { address: string; expiresAt?: string }[] }>(
      'GET',
      `/v1/tables/${table}/entries`,
    );
    const left = (expiresAt: string | undefined) => expiresAt && (Date.parse(expiresAt) - Date.now()) / 1_000;
    return new Map(entries.map(({ address, expiresAt }) => [address, left(expiresAt) as number | undefined]));
  }

  /** Waits until the daemon has decided about all datagrams that have come. */
  async datagramsSettled(): Promise<void> {
    const total = async () => Object.values(await this.datagramCounts()).reduce((sum, count) => sum + count, 0);
    let before = -1;
    const isQuiet = async () => {
      const now = await total();
      const same = now === before;
      before = now;
      if (!same) await sleep(quietMs);
      return same;
    };
    await until('no more datagrams come', isQuiet, 20_000);
  }

  /** Datagrams by what became of them, since the daemon started. */
  async datagramCounts(): Promise<Readonly<Record<string, number>>> {
    const { body } = await this.rest.send('GET', '/metrics');
    const lines = body.matchAll(/^postern_pftabled_datagrams_total\{result="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...lines].map(([, result, count]) => [result, Number(count)]));
  }
}

type Listed =
  | string
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly range: readonly [string, string] };
interface ListedElement {
  readonly elem: { readonly val: Listed; readonly timeout?: number; readonly expires?: number };
}

function elementsOf(listing: string): (Listed | ListedElement)[] {
  const { nftables } = JSON.parse(listing) as { nftables: { set?: { elem?: (Listed | ListedElement)[] } }[] };
  return nftables.flatMap(({ set }) => set?.elem ?? []);
}

function contentOf(element: Listed | ListedElement): [string, number | undefined] {
  const { val, expires } =
    typeof element === 'object' && 'elem' in element ? element.elem : { val: element, expires: undefined };
  if (typeof val === 'string') return [formatPrefix(parsePrefix(val)), expires];
  if ('prefix' in val) return [formatPrefix(parsePrefix(`${val.prefix.addr}/${val.prefix.len}`)), expires];
  return [val.range.join('-'), expires];
}
