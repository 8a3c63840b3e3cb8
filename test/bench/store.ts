/** What the store costs: updates with and without it, a start after a reboot, memory of an entry. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Engine } from '../../src/engine/engine.js';
import { PftabledReceiver } from '../../src/services/pftabled/receiver.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';
import { AuditLog } from '../../src/store/audit-log.js';
import type { Audit } from '../../src/store/committer.js';
import { nodeDisk } from '../../src/store/disk.js';
import { openStore } from '../../src/store/open.js';
import type { ReplayWindow, Store } from '../../src/store/store.js';
import { encodePftabled, pftabledKey } from '../../src/wire/pftabled.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';
import { inWorld } from './world.js';

const updates = 60_000;
const waiting = 4_096;
const rounds = 5;
const restored = 100_000;
const held = 500_000;
/** V8 gives back what a burst took after two rounds of 8 s in which little happened. */
const quietMs = 30_000;
const timeoutMs = 86_400_000;
const first = 0x0a00_0000;
const source = { kind: 'rest', id: 'bench' } as const;
const key = pftabledKey(Buffer.alloc(20, 7));

const policy = `version: 1
tables: { listed: { size: 1000000 } }
chains: { input: { policy: accept, rules: [ { from: <listed>, do: drop } ] } }
`;

const entryOf = (n: number) => ({ prefix: { family: 4, value: BigInt(first + n), length: 32 } as const, timeoutMs });

interface Kept {
  readonly folder: string;
  readonly store: Store;
  readonly audit: Audit;
}

/** Runs `work` with a store and an audit log on the disk, which are gone afterwards. */
async function inStore<T>(work: (kept: Kept) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  const store = await openStore({ disk: nodeDisk(join(folder, 'store')), node: 'bench' });
  const log = new AuditLog({ path: join(folder, 'audit.jsonl') });
  try {
    return await work({ folder, store, audit: (drafts) => log.change(drafts) });
  } finally {
    await store.close();
    await log.close();
    await rm(folder, { recursive: true });
  }
}

/** Adds entries, so many a request and so many requests under way; answers how many entries a second. */
async function requests({ tables }: Engine, entries: number, underWay: number): Promise<number> {
  let next = 0;
  const runner = async () => {
    while (next < updates) {
      const request = Array.from({ length: entries }, () => entryOf(next++));
      await tables.add('listed', request, source);
    }
  };
  const ms = await timed(() => Promise.all(Array.from({ length: underWay }, runner)));
  return (updates / ms) * 1000;
}

/** Has signed requests verified, admitted once and applied; answers how many a second. */
async function signedUpdates({ tables }: Engine, window: ReplayWindow): Promise<number> {
  const now = () => Date.now();
  const receiver = new PftabledReceiver(
    { key, tables: new Set(['listed']) },
    { tables, window, log: { warn() {} }, now },
  );
  const timestamp = Math.floor(now() / 1000);
  const datagrams = Array.from({ length: updates }, (_, n) =>
    encodePftabled({ version: 2, command: 1, mask: 32, address: first + n, table: 'listed', timestamp }, key),
  );
  const ms = await timed(async () => {
    const done = () => [...receiver.counts.values()].reduce((sum, count) => sum + count, 0);
    for (let n = 0; n < updates; await setImmediate()) {
      for (const end = Math.min(updates, done() + waiting); n < end; n++) receiver.receive(datagrams[n]!, '192.0.2.1');
    }
    await receiver.settled();
  });
  const added = receiver.counts.get('added');
  if (added !== updates) throw new Error(`${added} of ${updates} datagrams were applied`);
  return (updates / ms) * 1000;
}

interface Side {
  readonly name: string;
  readonly keeps: (kept: Kept) => Partial<Kept>;
  readonly rates: number[];
}

/** The same without and with what keeps it, in turns, each time another one first: the machine's pace changes by the minute. */
async function* throughput(
  work: string,
  run: (engine: Engine, store: Store | undefined) => Promise<number>,
): AsyncIterable<BenchRow> {
  const without: Side = { name: 'without both', keeps: () => ({}), rates: [] };
  const sides: readonly Side[] = [
    { name: 'with store', keeps: ({ store }) => ({ store }), rates: [] },
    { name: 'with store and audit log', keeps: ({ store, audit }) => ({ store, audit }), rates: [] },
  ];
  const turns = [without, ...sides];
  for (let round = 0; round < rounds; round++) {
    for (const { keeps, rates } of turns) {
      rates.push(await inStore((kept) => inWorld(policy, ({ engine }) => run(engine, keeps(kept).store), keeps(kept))));
    }
    turns.push(turns.shift()!);
  }
  const off = median(without.rates);
  for (const { name, rates } of sides) {
    const on = median(rates);
    yield {
      work: `${work}, ${name}`,
      ours: `${Math.round(on).toLocaleString('en')}/s`,
      reference: `${without.name}: ${Math.round(off).toLocaleString('en')}/s`,
      ratio: on / off,
      must: '≥ 0.7 ×',
      met: on / off >= 0.7,
    };
  }
}

/** The kernel knows nothing, the disk everything. */
async function restart(): Promise<BenchRow> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    times.push(
      await inStore(async ({ store: before, folder }) => {
        for (let n = 0; n < restored; n += 1_000) {
          const expiresAt = Date.now() + timeoutMs;
          const prefixes = Array.from({ length: 1_000 }, (_, i) => entryOf(n + i).prefix);
          await before.write([{ kind: 'entry', op: 'add', table: 'listed', prefixes, expiresAt, origin: source }]);
        }
        await before.close();
        const start = performance.now();
        const store = await openStore({ disk: nodeDisk(join(folder, 'store')), node: 'bench' });
        const openMs = performance.now() - start;
        const ready = inWorld(
          policy,
          async ({ engine, startMs }) => {
            const [table] = await engine.tables.list();
            if (table?.hosts !== restored) throw new Error(`${table?.hosts} of ${restored} entries are back`);
            return startMs + openMs;
          },
          { store },
        );
        return ready.finally(() => store.close());
      }),
    );
  }
  const ms = median(times);
  return {
    work: `${restored.toLocaleString('en')} entries from disk to kernel after a reboot`,
    ours: `${ms.toFixed(0)} ms`,
    must: '≤ 1000 ms',
    met: ms <= 1000,
  };
}

/** Table and store together, with what they point to. */
async function memory(): Promise<BenchRow> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = async () => {
    // As `ps` shows a daemon that has nothing to do: nobody collects its garbage for it.
    await sleep(quietMs);
    const { rss } = process.memoryUsage();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return { kept: heapUsed + external, rss };
  };
  const { kept, rss } = await inStore((options) =>
    inWorld(
      policy,
      async ({ engine }) => {
        const before = await used();
        for (let n = 0; n < held; n += 1_000) {
          const entries = Array.from({ length: 1_000 }, (_, i) => ({ ...entryOf(n + i), comment: `ssh ${n % 7}` }));
          await engine.tables.add('listed', entries, { kind: 'pftabled', id: `192.0.2.${n % 5}` });
        }
        const after = await used();
        return { kept: (after.kept - before.kept) / held, rss: (after.rss - before.rss) / held };
      },
      options,
    ),
  );
  return {
    work: `memory of an entry beyond the kernel's, with ${held.toLocaleString('en')}`,
    ours: `${kept.toFixed(0)} bytes`,
    reference: `growth of the process: ${rss.toFixed(0)} bytes`,
    must: '≤ 250 bytes',
    met: kept <= 250 && rss <= 250,
  };
}

export const storeBench: Bench = {
  name: 'store',
  title: 'State on disk',
  async *run() {
    yield await memory();
    yield await restart();
    yield* throughput('64 requests of 25 entries', (engine) => requests(engine, 25, 64));
    yield* throughput('signed datagrams', (engine, store) =>
      signedUpdates(engine, store?.replayWindow('pftabled') ?? new MemoryReplayWindow(() => Date.now())),
    );
  },
};
