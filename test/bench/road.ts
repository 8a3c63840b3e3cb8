/** A road for packets: from a sender in one namespace into the rules of another. */

import { openKernel, type RealKernel } from '../../src/kernel/open.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { encodePacket, type Packet } from '../../src/wire/packet.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { timed } from './bench.js';
import { inScope } from './world.js';

export const roadEnds = { client: '192.0.2.2', firewall: '192.0.2.1' } as const;

const packetsARun = 40_000;

export interface Road {
  readonly client: Namespace;
  readonly firewall: Namespace;
  readonly kernel: RealKernel;
}

/** Microseconds that a packet takes from the sender until a chain drops it, the quickest of a run in several parts. */
export async function packetUs({ client }: Road, packet: Packet): Promise<number> {
  const bytes = encodePacket(packet);
  const sender = new RawSender(client.name);
  let best = Number.POSITIVE_INFINITY;
  for (let part = 0; part < 4; part++) {
    const ms = await timed(() => {
      for (let index = 0; index < packetsARun / 4; index++) bytes.copy(sender.slot(4, bytes.length));
      sender.flush();
    });
    best = Math.min(best, (ms * 1000) / (packetsARun / 4));
  }
  sender.close();
  return best;
}

/** Runs `work` over a pair of namespaces whose packets end in our rules. */
export async function onRoad<T>(work: (road: Road) => Promise<T>): Promise<T> {
  return inScope(async (scope) => {
    const road = [await namespace(scope), await namespace(scope)] as const;
    await link([road[0], 'out', `${roadEnds.client}/24`], [road[1], 'wan', `${roadEnds.firewall}/24`]);
    await road[0].run('ping', '-c1', roadEnds.firewall);
    const kernel = await openKernel({ netns: road[1].name });
    scope.after(() => kernel.close());
    return work({ client: road[0], firewall: road[1], kernel });
  });
}
