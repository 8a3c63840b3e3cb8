/**
 * Signed pftabled datagrams from another process into a daemon as it runs, with its replay window on the disk: one by one
 * until they are in the kernel, and as many as are wanted for a while.
 */

import { setTimeout } from 'node:timers/promises';
import { encodePftabled, pftabledBytes, pftabledKey } from '../../src/wire/pftabled.js';
import { BanDaemon } from './ban-daemon.js';
import { banKey, sendBans } from './ban-sender.js';
import { type Bench, type BenchRow, quantile } from './bench.js';
import { inScope } from './world.js';

const WANTED_PER_S = 40_000;
const SENDING_S = 20;
const SINGLES = 400;
/** Beyond what the replay window remembers: 16 bytes a message, in a hash set that is at least a third full. */
const GROWTH_MOST_MIB = 16;
const MARK_BYTES = 48;
const FIRST = 0x0a00_0000;
/** Each is banned again and again, but never twice in a second: that would be the same datagram. */
const ADDRESSES = 180_000;

async function* rows(): AsyncIterable<BenchRow> {
  yield* await inScope(async (scope) => {
    const daemon = await BanDaemon.start(scope, { spammer: '{ timeout: 1d, size: 200000 }' });
    const single = await latency(daemon);
    const sustained = await rate(daemon);
    return [single, ...sustained];
  });
}

async function latency({ port, space }: BanDaemon): Promise<BenchRow> {
  const sender = await sendBans({ port, namespace: space.name, tables: ['spammer'], pauseMs: 5, warmup: 50 });
  await sender.timed(SINGLES);
  const times = await sender.stop();
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  return {
    work: 'signed datagram until its element is in the kernel, idle',
    ours: `${p50.toFixed(2)} ms (p99 ${p99.toFixed(1)})`,
    must: '≤ 3, p99 ≤ 10',
    met: p50 <= 3 && p99 <= 10,
  };
}

async function rate(daemon: BanDaemon): Promise<BenchRow[]> {
  const sent = WANTED_PER_S * SENDING_S;
  const datagrams = bans(sent);
  const before = await daemon.datagrams();
  const finished = daemon.flood(datagrams, WANTED_PER_S);
  const memory: number[] = [];
  let sending = true;
  void finished.finally(() => {
    sending = false;
  });
  // Until all addresses are there once the table itself grows.
  for (await setTimeout(SENDING_S * 250); sending; await setTimeout(SENDING_S * 125)) memory.push(daemon.mebibytes);
  const seconds = await finished;
  let after = await daemon.datagrams();
  for (let done = -1, now = total(after); done !== now; now = total(after)) {
    done = now;
    await setTimeout(300);
    after = await daemon.datagrams();
  }
  const applied = (after.get('added') ?? 0) - (before.get('added') ?? 0);
  const perSecond = Math.round(sent / seconds);
  const grown = Math.max(...memory) - (memory[0] ?? 0);
  const marks = (sent * 0.75 * MARK_BYTES) / (1 << 20);
  return [
    {
      work: `${sent.toLocaleString('en')} signed datagrams in ${seconds.toFixed(0)} s, applied (${lossText(before, after, sent)})`,
      ours: `${perSecond.toLocaleString('en')}/s`,
      must: '≥ 40,000/s, none lost',
      met: perSecond >= WANTED_PER_S * 0.97 && applied === sent,
    },
    {
      work: `memory meanwhile, in MiB: ${memory.map((mebibytes) => mebibytes.toFixed(0)).join(' ')}`,
      ours: `+${grown.toFixed(0)} MiB`,
      reference: `the replay window may take ${marks.toFixed(0)} MiB`,
      must: `flat: ≤ ${GROWTH_MOST_MIB} MiB more`,
      met: grown <= marks + GROWTH_MOST_MIB,
    },
  ];
}

/** `lost 12: 10 busy, 2 lost`. */
function lossText(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>, sent: number): string {
  const grown = [...after].map(([result, count]) => [result, count - (before.get(result) ?? 0)] as const);
  const others = grown.filter(([result, count]) => result !== 'added' && count > 0);
  const applied = grown.find(([result]) => result === 'added')?.[1] ?? 0;
  return [`lost ${sent - applied}`, ...others.map(([result, count]) => `${count} ${result}`)].join(', ');
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Signed before they are sent: what signing costs is not the daemon's. Their clocks are those at which they will be sent. */
function bans(count: number): Buffer {
  const key = pftabledKey(banKey);
  const startS = Date.now() / 1000;
  const datagrams = Buffer.alloc(count * pftabledBytes);
  for (let index = 0; index < count; index++) {
    const address = FIRST + (index % ADDRESSES);
    const timestamp = Math.floor(startS + index / WANTED_PER_S);
    const message = { version: 2, command: 1, mask: 32, address, table: 'spammer', timestamp };
    encodePftabled(message, key).copy(datagrams, index * pftabledBytes);
  }
  return datagrams;
}

export const updatesBench: Bench = {
  name: 'updates',
  title: 'Signed pftabled datagrams into the kernel',
  run: rows,
};
