/**
 * Logged packets answered by the responder in the packet worker, and what the load does to an HTTP server in the same
 * process. The generator is another process, at a pace of its own; the answers leave by a device that has nobody behind
 * it. Over a veth pair the other end would receive each answer on the CPU and in the time of who sent it (some 1 µs of
 * 4); a network card would only be told of it.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openPackets } from '../../src/kernel/packets.js';
import { FLAG_BIT } from '../../src/wire/packet.js';
import { type Namespace, namespace } from '../kernel/namespace.js';
import { tcp } from '../kernel/scratch-world.js';
import { type Bench, type BenchRow, quantile } from './bench.js';
import { Injector } from './injector.js';
import { inScope } from './world.js';

/** A little above what is wanted, so that a worker that does it falls behind nothing. */
const OFFERED_PER_S = 310_000;
const LOAD_MS = 4_000;
const WANTED_PER_S = 300_000;
const MAX_HTTP_MS = 10;

const self = fileURLToPath(import.meta.url);

const rules = `table inet t {
  chain in {
    type filter hook prerouting priority -300;
    tcp dport 9 log group 5 prefix "honeypot back" snaplen 128 drop
  }
}
`;

/** Everything but the generator and the HTTP client runs in this process. */
async function* rows(): AsyncIterable<BenchRow> {
  yield* await inScope(async (scope) => {
    const firewall = await namespace(scope);
    await nobodyBehind(firewall);
    await firewall.nft(rules);
    const packets = openPackets({ namespace: firewall.name, event: () => {} });
    scope.after(() => packets.close());
    await packets.setDuties([
      {
        name: 'responder',
        group: 5,
        module: new URL('../../src/services/responder/duty.js', import.meta.url).href,
        spec: {},
        copyBytes: 128,
        replyMark: 1,
        replies: { perSecond: 1e7, burst: 1e7 },
      },
    ]);
    const quiet = await httpTimes(1_000);
    const leftBefore = await left(firewall);
    const generator = fork(self, ['generate', firewall.name]);
    await once(generator, 'message');
    const start = performance.now();
    const http = httpTimes(LOAD_MS / 2);
    await exited(generator);
    const counters = () => packets.counters().get('responder')!;
    for (let before = -1; counters().packets !== before; ) {
      before = counters().packets;
      await setTimeout(20);
    }
    const seconds = (performance.now() - start - 20) / 1000;
    const busy = await http;
    const { replies, lost, packets: seen } = counters();
    const perSecond = Math.round(replies / seconds);
    const away = (await left(firewall)) - leftBefore;
    return [
      {
        work: `${seen.toLocaleString('en')} logged SYNs answered (lost ${lost}, left ${away.toLocaleString('en')})`,
        ours: `${perSecond.toLocaleString('en')}/s`,
        must: '≥ 300,000/s',
        met: perSecond >= WANTED_PER_S && lost === 0 && away === replies,
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

/** `wan` is a bridge whose only port takes nothing: what it sends is counted, and ends there. */
async function nobodyBehind(space: Namespace): Promise<void> {
  for (const command of [
    // The kernel's own router solicitations and multicast reports would be counted, too.
    'sysctl -qw net.ipv6.conf.default.disable_ipv6=1',
    'ip link add wan type bridge',
    'ip link add port type veth peer name far',
    'ip link set port master wan',
    'bridge link set dev port flood off mcast_flood off',
    ...['far', 'port', 'wan'].map((device) => `ip link set ${device} up`),
    'ip address add 198.51.100.254/24 dev wan',
  ]) {
    const [program = '', ...words] = command.split(' ');
    await space.run(program, ...words);
  }
}

async function left(space: Namespace): Promise<number> {
  const { stdout } = await space.run('ip', '-j', '-s', 'link', 'show', 'wan');
  return (JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[])[0]!.stats64.tx.packets;
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

/** SYNs of a quarter of a million sources, some hundred at a time, at the pace. */
async function generate(namespaceName: string): Promise<void> {
  const syn = tcp('198.18.0.0', '198.51.100.254', 9, FLAG_BIT.SYN, 40_000);
  const injector = new Injector(namespaceName, 'wan', syn, { addresses: 256, ports: 1_024 });
  process.send?.('started');
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  const start = performance.now();
  for (let sent = 0, sinceMs = 0; sinceMs < LOAD_MS; sinceMs = performance.now() - start) {
    const due = Math.floor((sinceMs * OFFERED_PER_S) / 1000) - sent;
    if (due > 0) injector.run(due);
    sent += Math.max(0, due);
    Atomics.wait(asleep, 0, 0, 1);
  }
  injector.close();
  process.disconnect();
}

export const packetsBench: Bench = { name: 'packets', title: 'Packets answered by the packet worker', run: rows };

if (process.argv[1] === self) {
  const [what, first = '', second = ''] = process.argv.slice(2);
  if (what === 'generate') await generate(first);
  else await request(Number(first), Number(second));
}
