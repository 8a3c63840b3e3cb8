/** How many signed requests the pftabled receiver takes, alone and from the network. */

import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parseAddress } from '../../src/net/address.js';
import { PftabledReceiver } from '../../src/services/pftabled/receiver.js';
import { verifyPftabled } from '../../src/services/pftabled/verify.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';
import { listenUdp } from '../../src/services/udp.js';
import { encodePftabled, pftabledKey } from '../../src/wire/pftabled.js';
import { type Bench, type BenchRow, timed } from './bench.js';

const sender = fileURLToPath(new URL('../kernel/datagram-sender.js', import.meta.url));
const key = pftabledKey(Buffer.alloc(20, 7));
const wantedPerS = 40_000;
const must = '≥ 40,000/s';
const sendingS = 2;
const sent = wantedPerS * sendingS;
const nowS = 1_700_000_000;
const now = () => nowS * 1000;
const rules = { key, tables: new Set(['spammer']) };
const count = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };
const tables = { add: async () => count, delete: async () => count, flush: async () => count };

/** The n-th request; all are different. */
function requestOf(n: number, version = 2): Buffer {
  const message = { version, command: 1, mask: 32, address: n >>> 0, table: 'spammer', timestamp: nowS };
  return encodePftabled(message, key);
}

export const pftabledBench: Bench = {
  name: 'pftabled',
  title: 'Signed pftabled requests, on one core',
  async *run() {
    yield await verification('verified, version 2', 2);
    yield await verification('verified, version 1', 1);
    yield await reception();
  },
};

async function verification(work: string, version: number): Promise<BenchRow> {
  const datagrams = Array.from({ length: 50_000 }, (_, n) => requestOf(n, version));
  let taken = 0;
  const ms = await timed(() => {
    for (const datagram of datagrams) if (typeof verifyPftabled(datagram, now(), rules) === 'object') taken++;
  });
  if (taken !== datagrams.length) throw new Error(`only ${taken} of ${datagrams.length} requests were taken`);
  return rowOf(work, taken, ms);
}

/** From another process over loopback at the wanted rate, with a replay window and tables that cost nothing. */
async function reception(): Promise<BenchRow> {
  const receiver = new PftabledReceiver(rules, {
    tables,
    window: new MemoryReplayWindow(now),
    log: { warn() {} },
    now,
  });
  const listener = await listenUdp(parseAddress('127.0.0.1'), 0, {
    datagram: (bytes, peer) => receiver.receive(bytes, peer),
    lost: (datagrams) => receiver.lost(datagrams),
    trouble: () => {},
  });
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  const file = join(folder, 'datagrams');
  writeFileSync(file, Buffer.concat(Array.from({ length: sent }, (_, n) => requestOf(n))));
  await execa(process.execPath, [sender, file, String(listener.port), String(wantedPerS)]);
  await rm(folder, { recursive: true });
  await setTimeout(200);
  await listener.close();
  const taken = receiver.counts.get('added')!;
  const offered = `${wantedPerS.toLocaleString('en')}/s for ${sendingS} s`;
  return { work: `taken from loopback, offered ${offered}`, ours: `${((taken / sent) * 100).toFixed(1)} %` };
}

function rowOf(work: string, requests: number, ms: number): BenchRow {
  const perS = Math.round((requests / ms) * 1000);
  return { work, ours: `${perS.toLocaleString('en')}/s`, must, met: perS >= wantedPerS };
}
