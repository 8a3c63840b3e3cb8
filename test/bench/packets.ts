/** Logged packets answered raw by the packet worker, and what the load does to an HTTP server in the same process. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openPackets } from '../../src/kernel/packets.js';
import { parseAddress } from '../../src/net/address.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { flood } from '../kernel/syn.js';
import { type Bench, type BenchRow, quantile } from './bench.js';
import { inScope } from './world.js';

const PACKETS = 1_500_000;
const WANTED_PER_S = 300_000;
const MAX_HTTP_MS = 10;

const self = fileURLToPath(import.meta.url);

/** Everything but the generator and the HTTP client runs in this process. */
async function* rows(): AsyncIterable<BenchRow> {
  yield* await inScope(async (scope) => {
    const [client, firewall] = [await namespace(scope), await namespace(scope)];
    await link([client, 'wan0', '198.51.100.1/24'], [firewall, 'wan', '198.51.100.254/24']);
    await firewall.run('ip', 'route', 'add', '198.18.0.0/24', 'via', '198.51.100.1');
    await firewall.nft(
      'table inet t { chain in { type filter hook prerouting priority -300; tcp dport 9 log group 5 snaplen 128 drop; }; }\n',
    );
    const answers = await dropped(client);
    const packets = openPackets({ namespace: firewall.name, event: () => {} });
    scope.after(() => packets.close());
    await packets.setDuties([
      {
        name: 'echo',
        group: 5,
        module: new URL('../kernel/duties/echo.js', import.meta.url).href,
        spec: {},
        copyBytes: 128,
        replies: { perSecond: 1e7, burst: 1e7 },
      },
    ]);
    const quiet = await httpTimes(1_000);
    const generator = fork(self, ['generate', client.name, String(PACKETS)]);
    await once(generator, 'message');
    const start = performance.now();
    const http = httpTimes(2_000);
    await once(generator, 'exit');
    const counters = () => packets.counters().get('echo')!;
    for (let before = -1; counters().packets !== before; ) {
      before = counters().packets;
      await setTimeout(20);
    }
    const seconds = (performance.now() - start - 20) / 1000;
    const busy = await http;
    const { replies, lost, packets: seen } = counters();
    const perSecond = Math.round(replies / seconds);
    const left = await answers();
    return [
      {
        work: `${seen.toLocaleString('en')} logged SYNs answered (lost ${lost}, seen by the peer ${left.toLocaleString('en')})`,
        ours: `${perSecond.toLocaleString('en')}/s`,
        must: '≥ 300,000/s',
        met: perSecond >= WANTED_PER_S && lost === 0 && left === replies,
      },
      {
        work: 'HTTP request meanwhile, p99',
        ours: `${quantile(busy, 0.99).toFixed(1)} ms`,
        reference: `without load: ${quantile(quiet, 0.99).toFixed(1)} ms`,
        must: '≤ 10 ms',
        met: quantile(busy, 0.99) <= MAX_HTTP_MS,
      },
    ];
  });
}

/** Answers stop at the client, counted. */
async function dropped(client: Namespace): Promise<() => Promise<number>> {
  await client.nft(`table inet t {
    counter answers { }
    chain c { type filter hook prerouting priority -300; tcp sport 9 counter name answers drop; }
  }
`);
  return async () => Number(/packets (\d+)/.exec(await client.list('list', 'counter', 'inet', 't', 'answers'))?.[1]);
}

/** Milliseconds of requests by another process, one after the other, for so long. */
async function httpTimes(forMs: number): Promise<number[]> {
  const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = fork(self, ['request', String((server.address() as AddressInfo).port), String(forMs)]);
  const [times] = (await once(client, 'message')) as [number[]];
  await exited(client);
  server.close();
  return times;
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit');
}

async function request(port: number, forMs: number): Promise<void> {
  const times: number[] = [];
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    const start = performance.now();
    await new Promise<void>((done, failed) => {
      get({ host: '127.0.0.1', port, agent: false }, (response) => response.resume().once('end', done)).once(
        'error',
        failed,
      );
    });
    times.push(performance.now() - start);
    await setTimeout(2);
  }
  process.send?.(times);
  process.disconnect();
}

async function generate(namespaceName: string, packets: number): Promise<void> {
  const load = { from: parseAddress('198.18.0.0'), to: parseAddress('198.51.100.254'), port: 9 };
  await flood(namespaceName, { ...load, packets: 2_000 });
  process.send?.('started');
  await flood(namespaceName, { ...load, packets });
  process.disconnect();
}

export const packetsBench: Bench = { name: 'packets', title: 'Packets answered by the packet worker', run: rows };

if (process.argv[1] === self) {
  const [what, first = '', second = ''] = process.argv.slice(2);
  if (what === 'generate') await generate(first, Number(second));
  else await request(Number(first), Number(second));
}
