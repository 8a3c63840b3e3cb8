/** How far rules about a device's flags are behind the device. */

import { openLinks } from '../../src/kernel/links.js';
import { openNlSocket } from '../../src/kernel/nl-socket.js';
import { SocketExchange } from '../../src/kernel/socket-exchange.js';
import { MessageWriter } from '../../src/wire/netlink.js';
import { IFF, RTM, SETUP_HEADER_BYTES, writeSetup } from '../../src/wire/rtnetlink-setup.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { countingPolicy } from '../kernel/match-host.js';
import { type Namespace, namespace, type Scope } from '../kernel/namespace.js';
import { type BenchRow, median } from './bench.js';
import { inScope } from './world.js';

const turns = 40;
const mostMs = 50;
const longestMs = 5_000;

/** From the request that sets a device up or down until the set that rules look into has its flags. */
export async function ifaceRow(): Promise<BenchRow> {
  const lags = await inScope(lagsMs);
  const most = Math.max(...lags);
  return {
    work: `iface, a device goes up or down (${turns} times)`,
    ours: `behind by ${median(lags).toFixed(1)} ms, at most ${most.toFixed(1)}`,
    must: `≤ ${mostMs} ms`,
    met: most <= mostMs,
  };
}

async function lagsMs(scope: Scope): Promise<number[]> {
  const space = await namespace(scope);
  await space.run('ip', 'link', 'add', 'd0', 'type', 'bridge');
  const { kernel, engine } = await liveBench(
    scope,
    space,
    countingPolicy('input', ['iface: { iface: d0, flags: up }', 'iface: { iface: d0, flags: down }']),
  );
  const set = engine.policy.current!.plan.manifest.sets.findIndex(({ role }) => role.kind === 'device-flags');
  const index = await indexOf(space, 'd0');
  const rtnetlink = new SocketExchange(() => openNlSocket({ protocol: 'ROUTE', namespace: space.name }));
  scope.after(() => rtnetlink.close());
  const held = async (): Promise<string> =>
    (await kernel.dump(set)).map(({ key }) => Buffer.from(key).toString('hex')).join();
  const lags: number[] = [];
  for (let turn = 0, before = await held(); turn < turns; turn++, before = await held()) {
    const message = setUp(index, turn % 2 === 0);
    const from = performance.now();
    await rtnetlink.request(message);
    while ((await held()) === before) {
      if (performance.now() - from > longestMs) throw new Error(`the flags are not followed within ${longestMs} ms`);
      await new Promise(setImmediate);
    }
    lags.push(performance.now() - from);
  }
  return lags;
}

async function indexOf({ name }: Namespace, device: string): Promise<number> {
  const links = await openLinks({ namespace: name, changed: () => {} });
  try {
    return links.current().get(device)!.index;
  } finally {
    links.close();
  }
}

/** As `ip link set … up` or `down`, without the time that a process takes. */
function setUp(index: number, isUp: boolean): Buffer {
  const body = Buffer.alloc(SETUP_HEADER_BYTES.link);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(isUp ? IFF.UP : 0, 8);
  body.writeUInt32LE(IFF.UP, 12);
  const writer = new MessageWriter(64);
  writeSetup(writer, RTM.NEWLINK, 1, body);
  return writer.finish();
}
