/** A table of half a million prefixes is replaced while bans come in: in a daemon as it runs, against `nft -f`. */

import { execa } from 'execa';
import { probedNetworks, probeGaps } from '../kernel/gap-probe.js';
import { namespace } from '../kernel/namespace.js';
import { BanDaemon } from './ban-daemon.js';
import { sendBans } from './ban-sender.js';
import { type Bench, type BenchRow, quantile, timed } from './bench.js';
import { inScope } from './world.js';

const COUNT = 500_000;
const MOST_MIB = 250;

/** Networks of which two lists share none, but for those that are probed: these are cut otherwise in each. */
function prefixes(list: 0 | 1): string[] {
  const probed = probedNetworks(24 - list);
  const others = Array.from({ length: COUNT - probed.length }, (_, n) => {
    const network = 0x20_0000 + n * 2 + list;
    return `${network >> 16}.${(network >> 8) & 255}.${network & 255}.0/24`;
  });
  return [...others, ...probed];
}

interface Replaced {
  readonly ms: number;
  readonly bansMs: readonly number[];
  readonly peakMebibytes: number;
  readonly gaps: { readonly tried: number; readonly passed: number };
}

async function ours(): Promise<Replaced> {
  return inScope(async (scope) => {
    const daemon = await BanDaemon.start(scope, {
      feed: '{ size: 600000 }',
      bans: '{ timeout: 1d, size: 100000 }',
    });
    await put(daemon, prefixes(0));
    daemon.forgetPeak();
    const { port, space } = daemon;
    const next = prefixes(1);
    const probe = await probeGaps(space);
    const sender = await sendBans({
      ...{ port, namespace: space.name, tables: ['bans', 'feed'] },
      ...{ pauseMs: 5, warmup: 20 },
    });
    await sender.timed(1);
    const ms = await timed(() => put(daemon, next));
    const bansMs = await sender.stop();
    const gaps = { tried: probe.tried(), passed: probe.passed() };
    await probe.stop();
    return { ms, bansMs, peakMebibytes: daemon.peakMebibytes, gaps };
  });
}

/** A request as `postern table replace feed -` makes it. */
async function put(daemon: BanDaemon, entries: readonly string[]): Promise<void> {
  const lines = (from: number) => entries.slice(from, from + 500).map((address) => `{"address":"${address}"}\n`);
  const body = (async function* () {
    for (let from = 0; from < entries.length; from += 500) yield lines(from).join('');
  })();
  const headers = { 'content-type': 'application/x-ndjson' };
  await daemon.ask({ method: 'PUT', path: '/v1/tables/feed/entries', headers, body });
}

/** The same by nft, in a set that holds the other list. */
async function byNft(): Promise<number> {
  return inScope(async (scope) => {
    const space = await namespace(scope);
    const load = async (text: string) => {
      const child = execa('nsenter', [`--net=/run/netns/${space.name}`, '--', 'nft', '-f', '-'], { input: text });
      await child;
    };
    await load(
      `table inet t {\n set s { type ipv4_addr; flags interval; size 1200000; }\n}\nadd element inet t s { ${prefixes(0).join(', ')} }\n`,
    );
    const text = `flush set inet t s\nadd element inet t s { ${prefixes(1).join(', ')} }\n`;
    return timed(() => load(text));
  });
}

async function* rows(): AsyncIterable<BenchRow> {
  const nft = await byNft();
  const { ms, bansMs, peakMebibytes, gaps } = await ours();
  const [p50, p99] = [quantile(bansMs, 0.5), quantile(bansMs, 0.99)];
  yield {
    work: `${COUNT.toLocaleString('en')} prefixes replaced by as many others`,
    ours: `${ms.toFixed(0)} ms`,
    reference: `nft -f: ${nft.toFixed(0)} ms`,
    ratio: ms / nft,
    must: '≤ 0.6 ×',
    met: ms <= nft * 0.6,
  };
  yield {
    work: `a signed ban meanwhile until it is in the kernel (${bansMs.length})`,
    ours: `${p50.toFixed(1)} ms (p99 ${p99.toFixed(1)})`,
    must: 'p99 ≤ 50 ms',
    met: p99 <= 50,
  };
  yield {
    work: `packets to addresses of both, which neither dropped (of ${gaps.tried.toLocaleString('en')})`,
    ours: String(gaps.passed),
    must: 'none',
    met: gaps.passed === 0 && gaps.tried > 0,
  };
  yield {
    work: 'most memory of the daemon meanwhile',
    ours: `${peakMebibytes.toFixed(0)} MiB`,
    must: `≤ ${MOST_MIB} MiB`,
    met: peakMebibytes <= MOST_MIB,
  };
}

export const replaceBench: Bench = {
  name: 'replace',
  title: 'A large table replaced while bans come in',
  run: rows,
};
