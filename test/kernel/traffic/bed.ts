/**
 * Three namespaces for tests with traffic:
 *
 *     outside  198.51.100.2, 2001:db8:2::2  -  wan  gate  lan  -  192.0.2.10 .11, 2001:db8:1::10 ::11  inside
 *
 * The gate (198.51.100.1, 2001:db8:2::1, 192.0.2.1, 2001:db8:1::1) forwards and runs compiled policies.
 */

import { createInterface } from 'node:readline';
import { withEntries } from '../../../src/compiler/entries.js';
import type { Plan } from '../../../src/compiler/plan.js';
import { renderRuleset } from '../../../src/nft/render.js';
import { planOf } from '../../compiler/compiled.js';
import { forward, link, type Namespace, namespace, type Scope, until } from '../namespace.js';
import type { PeerAnswer, PeerRequest, Result } from './peer.js';

export interface Host {
  readonly space: Namespace;
  /** Serves TCP and UDP on these ports, in both families. */
  serve(...ports: readonly number[]): Promise<void>;
  tcp(to: string, port: number, options?: TcpOptions): Promise<PeerAnswer>;
  udp(to: string, port: number, options?: { readonly from?: string; readonly fromPort?: number }): Promise<PeerAnswer>;
  upload(name: string, bytes: number): Promise<PeerAnswer>;
  close(name: string): Promise<void>;
  /** One echo request, with so many bytes of payload. */
  ping(to: string, bytes?: number, ...options: readonly string[]): Promise<Result>;
}

interface TcpOptions {
  readonly from?: string;
  /** The connection stays open under this name. */
  readonly hold?: string;
  readonly withinMs?: number;
}

export interface Bed {
  readonly outside: Host;
  readonly gate: Host;
  readonly inside: Host;
  /** Loads what a policy compiles to, and what the daemon would put into the sets of interfaces. */
  load(policy: string): Promise<Plan>;
}

export const address = {
  outside: { 4: '198.51.100.2', 6: '2001:db8:2::2' },
  wan: { 4: '198.51.100.1', 6: '2001:db8:2::1' },
  lan: { 4: '192.0.2.1', 6: '2001:db8:1::1' },
  inside: { 4: '192.0.2.10', 6: '2001:db8:1::10' },
  second: { 4: '192.0.2.11', 6: '2001:db8:1::11' },
} as const;

/** A check for each family, at once. */
export const inBoth = async (check: (family: 4 | 6) => Promise<void>): Promise<void> => {
  await Promise.all(([4, 6] as const).map(check));
};

/** A connection that nobody answers is given up after this. Answers take a few milliseconds, on a busy machine some more. */
const withinMs = 900;

export async function bed(scope: Scope): Promise<Bed> {
  const [outside, gate, inside] = [await namespace(scope), await namespace(scope), await namespace(scope)];
  const both = (host: keyof typeof address): string[] => [`${address[host][4]}/24`, `${address[host][6]}/64`];
  await link([outside, 'eth0', ...both('outside')], [gate, 'wan', ...both('wan')]);
  await link([inside, 'eth0', ...both('inside'), ...both('second')], [gate, 'lan', ...both('lan')]);
  await forward(gate);
  // Else the kernel answers the first few refused packets only.
  await gate.run('sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0');
  await route(outside, 'wan');
  await route(inside, 'lan');
  for (const family of [4, 6] as const) {
    const carries = () =>
      inside.run('ping', '-c1', '-W1', address.outside[family]).then(
        () => true,
        () => false,
      );
    await until(`the network carries IPv${family}`, carries, 20_000);
  }
  return {
    outside: host(outside, address.outside),
    gate: host(gate),
    inside: host(inside, address.inside),
    async load(policy) {
      const plan = planOf(policy);
      await gate.nft(`table inet postern\ndelete table inet postern\n${renderRuleset(withEntries(plan))}`);
      await gate.nft(interfaceElements(plan));
      return plan;
    },
  };
}

async function route(space: Namespace, gateway: 'wan' | 'lan'): Promise<void> {
  await space.run('ip', 'route', 'add', 'default', 'via', address[gateway][4]);
  await space.run('ip', '-6', 'route', 'add', 'default', 'via', address[gateway][6]);
}

/** The link watcher's part. */
function interfaceElements({ manifest }: Plan): string {
  const network = {
    wan: { 4: '198.51.100.0/24', 6: '2001:db8:2::/64' },
    lan: { 4: '192.0.2.0/24', 6: '2001:db8:1::/64' },
  };
  return manifest.sets
    .map(({ name, role }) => {
      if (role.kind !== 'interface') return '';
      const device = role.device as 'wan' | 'lan';
      const element = role.part === 'network' ? network[device][role.family] : address[device][role.family];
      return `add element inet postern ${name} { ${element} }\n`;
    })
    .join('');
}

/** @param own the address that it sends from, when it has several. */
function host(space: Namespace, own?: { readonly 4: string; readonly 6: string }): Host {
  const from = (to: string) => (own === undefined ? {} : { from: own[to.includes(':') ? 6 : 4] });
  const process_ = space.start(process.execPath, [new URL('peer.js', import.meta.url).pathname], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    buffer: false,
  });
  const waiting = new Map<number, (answer: PeerAnswer) => void>();
  createInterface({ input: process_.stdout! }).on('line', (line) => {
    const { id, ...answer } = JSON.parse(line) as PeerAnswer & { readonly id: number };
    waiting.get(id)!(answer);
    waiting.delete(id);
  });
  let id = 0;
  const tell = (request: PeerRequest): Promise<PeerAnswer> => {
    id += 1;
    process_.stdin!.write(`${JSON.stringify({ id, ...request })}\n`);
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  return {
    space,
    async serve(...ports) {
      for (const port of ports) {
        for (const protocol of ['tcp', 'udp'] as const) await tell({ op: 'serve', protocol, port });
      }
    },
    tcp: (to, port, options = {}) => tell({ op: 'connect', to, port, withinMs, ...from(to), ...options }),
    udp: (to, port, options = {}) => tell({ op: 'ask', to, port, withinMs, ...from(to), ...options }),
    upload: (name, bytes) => tell({ op: 'upload', name, bytes, withinMs: 2000 }),
    async close(name) {
      await tell({ op: 'close', name });
    },
    async ping(to, bytes = 8, ...options) {
      const source = from(to).from;
      const args = ['-c1', '-W2', '-s', String(bytes), ...(source === undefined ? [] : ['-I', source]), ...options, to];
      return space.run('ping', ...args).then(
        () => 'ok' as const,
        () => 'timeout' as const,
      );
    },
  };
}
