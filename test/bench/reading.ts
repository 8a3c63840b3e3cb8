/** Reading 65,536 counted addresses, against `nft -j list set` and parsing what it prints. */

import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import type { Manifest } from '../../src/compiler/plan.js';
import { openElements } from '../../src/kernel/elements.js';
import { dumpNow, openNetfilterSocket, RECEIVE_BYTES } from '../../src/kernel/exchange-now.js';
import { fixedBuffer } from '../../src/kernel/layouts.js';
import { FLAG, MessageWriter } from '../../src/wire/netlink.js';
import { NFPROTO } from '../../src/wire/nfnetlink.js';
import { NFT } from '../../src/wire/nftables.js';
import { writeSetRequest } from '../../src/wire/nftables-element-writer.js';
import { type Namespace, namespace } from '../kernel/namespace.js';
import { testManifest } from '../kernel/test-sets.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';
import { inScope } from './world.js';

const COUNT = 65_536;
const ROUNDS = 5;
const WANTED = 0.25;
const NFT_SET = `table inet t { set s { type ipv4_addr; size ${COUNT * 2}; flags dynamic; counter; }
}
`;
const manifest: Manifest = {
  ...testManifest,
  sets: [{ ...testManifest.sets[1]!, name: 's', size: COUNT * 2 }],
  objects: [],
};

/** CPU time of the main thread: what other processes take of a busy machine doesn't count. */
function mainThreadCpuMs(): number {
  const [nanoseconds = '0'] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
  return Number(nanoseconds) / 1e6;
}

/**
 * What the kernel needs for a listing that nobody looks at. It fills a datagram of 32 KiB at most, and begins anew with each:
 * it walks over all that it has sent, so that its time grows with the square of the set.
 */
function kernelAloneMs(space: Namespace): number {
  const socket = openNetfilterSocket(space.name);
  try {
    const writer = new MessageWriter(256);
    writeSetRequest(writer, NFT.GETSETELEM, FLAG.DUMP, 1, { family: NFPROTO.inet, table: 't', set: 's' });
    const start = performance.now();
    const bounds = { maxDatagrams: COUNT, timeoutMs: 60_000 };
    const datagrams = dumpNow(socket, writer.finish(), bounds, fixedBuffer(RECEIVE_BYTES));
    while (!datagrams.next().done);
    return performance.now() - start;
  } finally {
    socket.close();
  }
}

async function* rows(): AsyncIterable<BenchRow> {
  const times = { ours: [] as number[], reset: [] as number[], kernel: [] as number[], theirs: [] as number[] };
  let longestTurnMs = 0;
  await inScope(async (scope) => {
    const space = await namespace(scope);
    await space.nft(NFT_SET);
    const elements = await openElements({ namespace: space.name });
    scope.after(() => elements.close());
    elements.adopt(manifest);
    for (let part = 0; part < COUNT; part += 4_096) {
      await elements.change(
        Array.from({ length: 4_096 }, (_, index) => ({
          op: 'add' as const,
          set: 0,
          key: Uint8Array.of(10, 0, (part + index) >> 8, index & 255),
        })),
      );
    }
    await elements.dump(0);
    for (let round = 0; round < ROUNDS; round++) {
      let last = mainThreadCpuMs();
      const beat = setInterval(() => {
        const now = mainThreadCpuMs();
        longestTurnMs = Math.max(longestTurnMs, now - last);
        last = now;
      }, 1);
      times.ours.push(
        await timed(async () => {
          const { length } = await elements.dump(0);
          if (length !== COUNT) throw new Error(`${length} of ${COUNT} elements were read`);
        }),
      );
      clearInterval(beat);
      times.kernel.push(kernelAloneMs(space));
      times.reset.push(await timed(() => elements.dump(0, { reset: true })));
      times.theirs.push(
        await timed(async () => {
          const enter = [`--net=/run/netns/${space.name}`, '--'];
          const { stdout } = await execa('nsenter', [...enter, 'nft', '-j', 'list', 'set', 'inet', 't', 's']);
          JSON.parse(stdout);
        }),
      );
    }
  });
  const share = (own: readonly number[]) => median(own) / median(times.theirs);
  for (const [work, own] of [
    ['read', times.ours],
    ['read and zeroed', times.reset],
  ] as const) {
    yield {
      work: `65,536 counted addresses ${work}`,
      ours: `${median(own).toFixed(0)} ms`,
      reference: `nft -j: ${median(times.theirs).toFixed(0)} ms`,
      ratio: share(own),
      must: `≤ ${WANTED} ×`,
      met: share(own) <= WANTED,
    };
  }
  yield {
    work: 'of that the kernel alone, on a thread that does nothing else',
    ours: `${median(times.kernel).toFixed(0)} ms`,
    reference: `read: ${median(times.ours).toFixed(0)} ms`,
    ratio: share(times.kernel),
  };
  yield {
    work: 'longest turn of the event loop meanwhile',
    ours: `${longestTurnMs.toFixed(1)} ms`,
    must: '≤ 20 ms',
    met: longestTurnMs <= 20,
  };
}

export const readingBench: Bench = { name: 'reading', title: 'Reading counted sets', run: rows };
