/** A road for packets: from a generator into the rules of a namespace, and out of it over a link into another one. */

import { openKernel, type RealKernel } from '../../src/kernel/open.js';
import type { Packet } from '../../src/wire/packet.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { Injector } from './injector.js';
import { inScope } from './world.js';
import type { Sources } from './xdp-program.js';

export const roadEnds = {
  client: '192.0.2.2',
  firewall: '192.0.2.1',
  client6: '2001:db8:ffff::2',
  firewall6: '2001:db8:ffff::1',
} as const;

/** So few that the quickest of the parts met no other work of the machine. */
const packetsAPart = 10_000;
const parts = 8;

export interface Road {
  readonly client: Namespace;
  readonly firewall: Namespace;
  readonly kernel: RealKernel;
}

/** Microseconds from the ingress of `wan` until a packet and its answer have ended: the quickest of a run in parts. */
export function packetUs({ firewall }: Pick<Road, 'firewall'>, packet: Packet, sources?: Sources): number {
  const injector = new Injector(firewall.name, 'wan', packet, sources);
  try {
    // The first ones fill the generator's pages and the caches.
    injector.run(packetsAPart);
    return Math.min(...Array.from({ length: parts }, () => injector.run(packetsAPart))) / 1000;
  } finally {
    injector.close();
  }
}

/** Runs `work` over a pair of namespaces whose packets end in our rules. */
export async function onRoad<T>(work: (road: Road) => Promise<T>): Promise<T> {
  return inScope(async (scope) => {
    const road = [await namespace(scope), await namespace(scope)] as const;
    await link(
      [road[0], 'out', `${roadEnds.client}/24`, `${roadEnds.client6}/64`],
      [road[1], 'wan', `${roadEnds.firewall}/24`, `${roadEnds.firewall6}/64`],
    );
    for (const end of [roadEnds.firewall, roadEnds.firewall6]) await road[0].run('ping', '-c1', end);
    const kernel = await openKernel({ netns: road[1].name });
    scope.after(() => kernel.close());
    return work({ client: road[0], firewall: road[1], kernel });
  });
}
