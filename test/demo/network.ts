/**
 * The demo's network: outside and lan, each a host in a network namespace, joined by the firewall.
 *
 *     outside  198.51.100.2 .66          198.51.100.1  firewall  192.0.2.1          192.0.2.10 .11 .20  lan
 *              2001:db8:2::2 ::66    wan 2001:db8:2::1         2001:db8:1::1 lan  2001:db8:1::10 ::20
 */

import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { forward, link, type Namespace, namespace, type Scope, until } from '../kernel/namespace.js';
import type { PeerAnswer, PeerRequest } from './peer.js';

export const hosts = {
  /** Somebody on the outside who behaves, and somebody who will be banned. */
  visitor: { v4: '198.51.100.2', v6: '2001:db8:2::2' },
  spammer: { v4: '198.51.100.66', v6: '2001:db8:2::66' },
  firewall: { v4: '198.51.100.1', v6: '2001:db8:2::1' },
  clientA: { v4: '192.0.2.10', v6: '2001:db8:1::10' },
  clientB: { v4: '192.0.2.11', v6: '2001:db8:1::11' },
  server: { v4: '192.0.2.20', v6: '2001:db8:1::20' },
} as const;

export type HostName = keyof typeof hosts;

export interface Host {
  ask(request: PeerRequest): Promise<PeerAnswer>;
}

export interface Network {
  readonly firewall: Namespace;
  readonly outside: Host & { readonly namespace: Namespace };
  readonly lan: Host & { readonly namespace: Namespace };
}

const peerProgram = fileURLToPath(new URL('./peer.js', import.meta.url));

export async function buildNetwork(scope: Scope): Promise<Network> {
  const [outside, firewall, lan] = [await namespace(scope), await namespace(scope), await namespace(scope)];
  const addresses = (length4: number, ...names: HostName[]) =>
    names.flatMap((name) => [`${hosts[name].v4}/${length4}`, `${hosts[name].v6}/64`]);
  await link(
    [outside, 'eth0', ...addresses(24, 'visitor', 'spammer')],
    [firewall, 'wan', ...addresses(24, 'firewall')],
  );
  await link(
    [lan, 'eth0', ...addresses(24, 'clientA', 'clientB', 'server')],
    [firewall, 'lan', '192.0.2.1/24', '2001:db8:1::1/64'],
  );
  await forward(firewall);
  for (const [space, gateway4, gateway6] of [
    [outside, hosts.firewall.v4, hosts.firewall.v6],
    [lan, '192.0.2.1', '2001:db8:1::1'],
  ] as const) {
    await space.run('ip', 'route', 'add', 'default', 'via', gateway4);
    await space.run('ip', '-6', 'route', 'add', 'default', 'via', gateway6);
  }
  // Until its link-local addresses are known to be its own, the firewall asks for no neighbour of those it forwards for.
  for (const space of [outside, firewall, lan]) {
    const tentative = async () => (await space.run('ip', '-6', 'address', 'show', 'tentative')).stdout;
    await until(`the addresses of ${space.name} are its own`, async () => (await tentative()) === '', 20_000);
  }
  return {
    firewall,
    outside: { namespace: outside, ...peer(outside) },
    lan: { namespace: lan, ...peer(lan) },
  };
}

/** Starts the peer program in a namespace; its answers come in the order of the requests. */
function peer(space: Namespace): Host {
  const child = space.start(process.execPath, [peerProgram], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    buffer: false,
  });
  const waiting: ((answer: PeerAnswer) => void)[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    waiting.shift()?.(JSON.parse(line)),
  );
  return {
    async ask(request) {
      const answer = await new Promise<PeerAnswer>((resolve) => {
        waiting.push(resolve);
        (child.stdin as NodeJS.WritableStream).write(`${JSON.stringify(request)}\n`);
      });
      if (answer.error !== undefined) throw new Error(`${request.op} in ${space.name}: ${answer.error}`);
      return answer;
    },
  };
}
