/**
 * Network namespaces for tests of the real kernel: uniquely named, joined by veth links, always removed.
 *
 *     const [outside, firewall] = [await namespace(t), await namespace(t)];
 *     await link([outside, 'wan0', '198.51.100.2/24', '2001:db8:1::2/64'], [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64']);
 *     await outside.run('ping', '-c1', '198.51.100.1');
 *
 * Needs root. Everything that a namespace started ends with it, also when the test run is interrupted.
 */

import { spawnSync } from 'node:child_process';
import { execa, type Options, type ResultPromise } from 'execa';

/**
 * What runs something when it ends: a TestContext, or `{ after }` of node:test for a whole file. The latter only at the
 * top of the file: inside of `before` it means the end of that hook.
 */
export interface Scope {
  after(end: () => Promise<void>): void;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
}

export interface Namespace {
  readonly name: string;
  /** Runs a command to its end. @throws ExecaError when it fails or takes longer than a minute. */
  run(command: string, ...args: readonly string[]): Promise<Finished>;
  /** Starts a command that is killed with the namespace. Its failure is no error; await it to see how it ended. */
  start(command: string, args: readonly string[], options?: Options): ResultPromise;
  /** Loads nft text. */
  nft(text: string): Promise<void>;
  /** `nft list ruleset` or another listing. */
  list(...args: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

/** A namespace, a device name in it, and the device's addresses with their prefix lengths. */
export type LinkEnd = readonly [namespace: Namespace, device: string, ...addresses: readonly string[]];

const live = new Map<string, Set<ResultPromise>>();
let created = 0;

process.once('exit', () => {
  for (const [name, children] of live) {
    for (const child of children) child.kill('SIGKILL');
    spawnSync('ip', ['netns', 'del', name]);
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** Creates a namespace with `lo` up; it goes when `scope` ends. */
export async function namespace(scope?: Scope): Promise<Namespace> {
  created += 1;
  const name = `pt-${process.pid}-${created}`;
  await execa('ip', ['netns', 'add', name]);
  const children = new Set<ResultPromise>();
  live.set(name, children);
  const inside = [`--net=/run/netns/${name}`, '--'];

  const space: Namespace = {
    name,
    async run(command, ...args) {
      const { stdout, stderr } = await execa('nsenter', [...inside, command, ...args], {
        timeout: 60_000,
        stdin: 'ignore',
      });
      return { stdout, stderr };
    },
    start(command, args, options = {}) {
      const child = execa('nsenter', [...inside, command, ...args], { reject: false, ...options });
      children.add(child);
      child.finally(() => children.delete(child));
      return child;
    },
    async nft(text) {
      await execa('nsenter', [...inside, 'nft', '-f', '-'], { input: text, timeout: 60_000 });
    },
    async list(...args) {
      const { stdout } = await space.run('nft', ...(args.length === 0 ? ['list', 'ruleset'] : args));
      return stdout;
    },
    async remove() {
      const ending = [...children];
      for (const child of ending) child.kill('SIGKILL');
      await Promise.allSettled(ending);
      if (!live.delete(name)) return;
      await execa('ip', ['netns', 'del', name]);
    },
  };
  scope?.after(() => space.remove());
  await space.run('ip', 'link', 'set', 'lo', 'up');
  return space;
}

/** Joins two namespaces by a veth pair; both ends are up and their addresses usable when it returns. */
export async function link(a: LinkEnd, b: LinkEnd): Promise<void> {
  const [spaceA, deviceA] = a;
  const [spaceB, deviceB] = b;
  await execa('ip', [
    ...['link', 'add', 'name', deviceA, 'netns', spaceA.name, 'type', 'veth'],
    ...['peer', 'name', deviceB, 'netns', spaceB.name],
  ]);
  for (const [space, device, ...addresses] of [a, b]) {
    for (const address of addresses) {
      await space.run('ip', 'address', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []));
    }
    await space.run('ip', 'link', 'set', device, 'up');
  }
}

/** Lets a namespace forward packets, IPv4 and IPv6. */
export async function forward(space: Namespace): Promise<void> {
  await space.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
}

/** Waits until `holds` is true. @throws after `timeoutMs`. For what has no event; never to hide a race of ours. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
