/** Signed pftabled datagrams from another process until they are in the kernel: one by one, and as many as are wanted. */

import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../../src/compiler/plan.js';
import { openNf } from '../../src/kernel/nf.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { parseAddress } from '../../src/net/address.js';
import { PftabledReceiver } from '../../src/services/pftabled/receiver.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';
import { listenUdp } from '../../src/services/udp.js';
import { encodePftabled, pftabledKey } from '../../src/wire/pftabled.js';
import { type Bench, type BenchRow, quantile } from './bench.js';
import { inWorld, type World } from './world.js';

const WANTED_PER_S = 40_000;
const SENDING_S = 4;
const SINGLES = 400;
const FIRST = 0x0a00_0000;

const policy = `version: 1
tables: { spammer: { size: 500000 } }
chains: { input: { policy: accept, rules: [ { from: <spammer>, do: drop } ] } }
`;
const key = pftabledKey(Buffer.alloc(20, 7));
const self = fileURLToPath(import.meta.url);

function datagram(address: number): Buffer {
  const timestamp = Math.floor(Date.now() / 1000);
  return encodePftabled({ version: 2, command: 1, mask: 32, address, table: 'spammer', timestamp }, key);
}

async function* rows(): AsyncIterable<BenchRow> {
  yield* await inWorld(policy, async (world) => {
    const now = () => Date.now();
    const receiver = new PftabledReceiver(
      { key, tables: new Set(['spammer']) },
      { tables: world.engine.tables, window: new MemoryReplayWindow(now), log: { warn() {} }, now },
    );
    const listener = await listenUdp(parseAddress('127.0.0.1'), 0, {
      datagram: (bytes, peer) => receiver.receive(bytes, peer),
      trouble: () => {},
    });
    try {
      const single = await latency(world, listener.port);
      const sustained = await rate(world, listener.port);
      return [single, ...sustained];
    } finally {
      await listener.close();
    }
  });
}

async function latency({ space }: World, port: number): Promise<BenchRow> {
  const child = fork(self, ['latency', String(port), space.name]);
  const [times] = (await once(child, 'message')) as [number[]];
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  return {
    work: 'signed datagram until its element is in the kernel, idle',
    ours: `${p50.toFixed(2)} ms (p99 ${p99.toFixed(1)})`,
    must: '≤ 3, p99 ≤ 10',
    met: p50 <= 3 && p99 <= 10,
  };
}

async function rate({ engine }: World, port: number): Promise<BenchRow[]> {
  const held = async () => (await engine.tables.list())[0]?.hosts ?? 0;
  const before = await held();
  const memory = process.memoryUsage.rss();
  const child = fork(self, ['rate', String(port)]);
  const [[sent, seconds]] = (await once(child, 'message')) as [[number, number]];
  let applied = 0;
  for (let last = -1; applied !== last; ) {
    last = applied;
    await setTimeout(300);
    applied = (await held()) - before;
  }
  const perSecond = Math.round(sent / seconds);
  const mebibytes = (process.memoryUsage.rss() - memory) / (1 << 20);
  const lost = sent - applied;
  return [
    {
      work: `${sent.toLocaleString('en')} signed datagrams, applied (lost ${lost}, memory +${mebibytes.toFixed(0)} MiB)`,
      ours: `${perSecond.toLocaleString('en')}/s`,
      must: '≥ 40,000/s, none lost',
      met: perSecond >= WANTED_PER_S * 0.97 && lost === 0,
    },
  ];
}

async function sendLatencies(port: number, namespaceName: string): Promise<void> {
  const nf = openNf(netfilterExchange(namespaceName), { destroy: true, updateTimeout: true, resetElements: true });
  nf.adopt({
    tables: [{ family: 'inet', name: 'postern' }],
    sets: [{ table: 'inet', name: 't_spammer_h4', key: ['ipv4_addr'], interval: false, timeout: true, size: 500_000 }],
    objects: [],
  } as unknown as Manifest);
  const socket = createSocket('udp4');
  const times: number[] = [];
  for (let index = 0; index < SINGLES; index++) {
    const address = FIRST + index;
    const bytes = Uint8Array.of(address >>> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
    const request = datagram(address);
    const start = performance.now();
    socket.send(request, port, '127.0.0.1');
    while ((await nf.get(0, { key: bytes })) === undefined) {
      if (performance.now() - start > 2_000) throw new Error('an element did not come');
      await setImmediate();
    }
    if (index >= 50) times.push(performance.now() - start);
    await setTimeout(5);
  }
  socket.close();
  process.send?.(times);
  process.disconnect();
}

async function sendSustained(port: number): Promise<void> {
  const socket = createSocket('udp4');
  const total = WANTED_PER_S * SENDING_S;
  // Signed before: what is measured is who takes them.
  const requests = Array.from({ length: total }, (_, next) => datagram(FIRST + 100_000 + next));
  const start = performance.now();
  for (let next = 0; next < total; ) {
    const due = Math.min(total, Math.ceil(((performance.now() - start) / 1000) * WANTED_PER_S));
    const sends: Promise<unknown>[] = [];
    for (; next < due; next++) {
      const request = requests[next];
      sends.push(new Promise((done) => socket.send(request as Buffer, port, '127.0.0.1', done)));
    }
    await Promise.all(sends);
    await setTimeout(1);
  }
  process.send?.([total, (performance.now() - start) / 1000]);
  socket.close();
  process.disconnect();
}

export const updatesBench: Bench = {
  name: 'updates',
  title: 'Signed pftabled datagrams into the kernel',
  run: rows,
};

if (process.argv[1] === self) {
  const [what, port = '', space = ''] = process.argv.slice(2);
  if (what === 'latency') await sendLatencies(Number(port), space);
  else await sendSustained(Number(port));
}
