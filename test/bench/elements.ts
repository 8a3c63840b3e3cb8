/** Set elements over netlink, against `nft`: one by one, a hundred thousand, and with growing sets. */

import { execa } from 'execa';
import type { Manifest } from '../../src/compiler/plan.js';
import { elementBatch } from '../../src/kernel/element-batch.js';
import { daemonExchange, type KernelElements, openElements } from '../../src/kernel/elements.js';
import type { Exchange } from '../../src/kernel/exchange.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { openNf } from '../../src/kernel/nf.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { type Namespace, namespace } from '../kernel/namespace.js';
import { testManifest } from '../kernel/test-sets.js';
import { type Bench, type BenchRow, median, quantile, timed } from './bench.js';
import { inScope } from './world.js';

const SIZE = 1_000_000;
const NFT_SET = `table inet t { set s { type ipv4_addr; flags timeout; size ${SIZE}; }
}
`;
const manifest: Manifest = {
  ...testManifest,
  sets: [{ ...testManifest.sets[0]!, name: 's', timeout: true, size: SIZE }],
  objects: [],
};

function address(index: number): Uint8Array {
  return Uint8Array.of(10 + (index >> 24), (index >> 16) & 255, (index >> 8) & 255, index & 255);
}

function addition(index: number): ElementChange {
  return { op: 'add', set: 0, key: address(index), timeoutMs: 3_600_000 };
}

function nftText(from: number, count: number): string {
  const elements = Array.from({ length: count }, (_, index) => `${address(from + index).join('.')} timeout 1h`);
  return `add element inet t s { ${elements.join(', ')} }\n`;
}

function nft(space: Namespace, input: string): Promise<unknown> {
  return execa('nsenter', [`--net=/run/netns/${space.name}`, '--', 'nft', '-f', '-'], { input });
}

async function fill(elements: KernelElements, from: number, to: number): Promise<void> {
  const part = 5_000;
  for (let next = from; next < to; next += part) {
    const count = Math.min(part, to - next);
    await elements.change(
      Array.from({ length: count }, (_, index) => addition(next + index)),
      { bulk: true },
    );
  }
}

/** Microseconds of single transactions, request to acknowledged, without waiting for others to join. */
async function singles(exchange: Exchange, from: number, count: number): Promise<number[]> {
  const nf = openNf(exchange, { destroy: true, updateTimeout: true, resetElements: true });
  nf.adopt(manifest);
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const change = addition(from + index);
    times.push(1000 * (await timed(() => nf.transact([change]))));
  }
  await exchange.close();
  return times;
}

async function one(): Promise<BenchRow> {
  return inScope(async (scope) => {
    const space = await namespace(scope);
    await space.nft(NFT_SET);
    await singles(daemonExchange({ namespace: space.name }), 0, 500);
    const ours = await singles(daemonExchange({ namespace: space.name }), 1_000, 3_000);
    const theirs: number[] = [];
    for (let index = 0; index < 30; index++)
      theirs.push(1000 * (await timed(() => nft(space, nftText(9_000 + index, 1)))));
    const ratio = median(theirs) / median(ours);
    return {
      work: 'one element, request to acknowledged, p50',
      ours: `${median(ours).toFixed(0)} µs (p99 ${quantile(ours, 0.99).toFixed(0)})`,
      reference: `nft -f -: ${median(theirs).toFixed(0)} µs`,
      ratio,
      must: '≥ 100 ×',
      met: ratio >= 100,
    };
  });
}

/** Milliseconds for elements that are added in parts of so many, one prepared while another is in the kernel. */
async function inParts(elements: KernelElements, count: number, part: number): Promise<number> {
  const changes = Array.from({ length: count }, (_, index) => addition(index));
  return timed(async () => {
    const underWay: Promise<void>[] = [];
    for (let from = 0; from < count; from += part) {
      if (underWay.length > 1) await underWay.shift();
      underWay.push(elements.change(changes.slice(from, from + part), { bulk: true }));
    }
    await Promise.all(underWay);
  });
}

async function* many(): AsyncIterable<BenchRow> {
  const count = 100_000;
  const parts = 10_000;
  const times = { inParts: [] as number[], atOnce: [] as number[], kernel: [] as number[], theirs: [] as number[] };
  /** Each into a set that was just made. */
  const measured = (list: number[], work: (space: Namespace) => Promise<number>) =>
    inScope(async (scope) => {
      const space = await namespace(scope);
      await space.nft(NFT_SET);
      list.push(await work(space));
    });
  const ours = (part: number) => async (space: Namespace) => {
    const elements = await openElements({ namespace: space.name });
    elements.adopt(manifest);
    // The thread of a daemon is there already.
    await elements.change(Array.from({ length: 500 }, (_, index) => addition(count + index)));
    const ms = await inParts(elements, count, part);
    await elements.close();
    return ms;
  };
  const text = nftText(0, count);
  for (let round = 0; round < 5; round++) {
    await measured(times.inParts, ours(parts));
    await measured(times.atOnce, ours(count));
    await measured(times.kernel, (space) => kernelAloneMs(space, count, parts));
    await measured(times.theirs, (space) => timed(() => nft(space, text)));
  }
  const row = (work: string, own: readonly number[]) => ({
    work,
    ours: `${median(own).toFixed(0)} ms`,
    reference: `nft -f -: ${median(times.theirs).toFixed(0)} ms`,
    ratio: median(times.theirs) / median(own),
  });
  const bounded = row(`100,000 elements, ${parts.toLocaleString('en')} in a transaction`, times.inParts);
  yield { ...bounded, must: '≥ 3 ×', met: bounded.ratio >= 3 };
  yield row('100,000 elements in one transaction', times.atOnce);
  yield row('of the first the kernel alone, with transactions that are written already', times.kernel);
}

/** What nobody can save: transactions of so many elements, made before the clock starts. */
async function kernelAloneMs(space: Namespace, count: number, part: number): Promise<number> {
  const exchange = netfilterExchange(space.name);
  const batches: Buffer[] = [];
  const features = { destroy: true, updateTimeout: true };
  for (let from = 0, firstSeq = 1; from < count; from += part) {
    const changes = Array.from({ length: part }, (_, index) => addition(from + index));
    const { bytes, nextSeq } = elementBatch(manifest, changes, { features, firstSeq });
    batches.push(bytes);
    firstSeq = nextSeq;
  }
  const ms = await timed(async () => {
    for (const batch of batches) await exchange.transact(batch);
  });
  await exchange.close();
  return ms;
}

/** One more element in sets of growing size. */
async function* growing(): AsyncIterable<BenchRow> {
  const sizes = [1_000, 10_000, 100_000, 500_000];
  const rows = await inScope(async (scope) => {
    const space = await namespace(scope);
    await space.nft(NFT_SET);
    const elements = await openElements({ namespace: space.name });
    scope.after(() => elements.close());
    elements.adopt(manifest);
    const found: { readonly size: number; readonly us: number }[] = [];
    let filled = 0;
    for (const size of sizes) {
      await fill(elements, filled, size);
      filled = size;
      // What grows or doesn't is the kernel's work: on this thread there is nothing else.
      found.push({ size, us: median(await singles(netfilterExchange(space.name), SIZE * 4 + size, 1_000)) });
    }
    return found;
  });
  const [first] = rows;
  for (const { size, us } of rows.slice(1)) {
    const ratio = us / (first?.us ?? us);
    yield {
      work: `one more element in a set of ${size.toLocaleString('en')}, p50`,
      ours: `${us.toFixed(0)} µs`,
      reference: `of 1,000: ${first?.us.toFixed(0)} µs`,
      ratio,
      must: '≤ 1.5 ×',
      met: ratio <= 1.5,
    };
  }
}

export const elementsBench: Bench = {
  name: 'elements',
  title: 'Set elements over netlink',
  async *run() {
    yield await one();
    yield* many();
    yield* growing();
  },
};
