/** 100,000 entries into a table: through the engine, by `nft -f`, and by `ipset restore`. */

import { execa } from 'execa';
import { parsePrefix } from '../../src/net/prefix.js';
import { namespace } from '../kernel/namespace.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';
import { inScope, inWorld } from './world.js';

const count = 100_000;
const rounds = 3;
const timeoutMs = 3_600_000;

const addresses = Array.from({ length: count }, (_, n) => `198.${18 + (n >> 16)}.${(n >> 8) & 0xff}.${n & 0xff}`);
const policy = `version: 1
tables: { listed: { size: 200000 } }
chains: { input: { policy: accept, rules: [ { from: <listed>, do: drop } ] } }
`;

async function ours(): Promise<number> {
  const entries = addresses.map((address) => ({ prefix: parsePrefix(address), timeoutMs }));
  return inWorld(policy, async ({ engine }) => {
    const ms = await timed(() => engine.tables.add('listed', entries, { kind: 'cli', id: 'bench' }));
    const [table] = await engine.tables.list();
    if (table?.hosts !== count) throw new Error(`${table?.hosts} of ${count} entries were added`);
    return ms;
  });
}

const nftText = `table inet t {
  set s { type ipv4_addr; flags timeout; size 200000; }
}
add element inet t s { ${addresses.map((address) => `${address} timeout 1h`).join(', ')} }
`;
const ipsetText = `create s hash:ip timeout 0 maxelem 200000
${addresses.map((address) => `add s ${address} timeout 3600`).join('\n')}
`;

async function other(command: readonly string[], input: string): Promise<number> {
  return inScope(async (scope) => {
    const space = await namespace(scope);
    return timed(() => execa('nsenter', [`--net=/run/netns/${space.name}`, '--', ...command], { input }));
  });
}

export const entriesBench: Bench = {
  name: 'entries',
  title: `${count} entries with a timeout into a table`,
  async *run() {
    const times = { ours: [] as number[], nft: [] as number[], ipset: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      times.ours.push(await ours());
      times.nft.push(await other(['nft', '-f', '-'], nftText));
      times.ipset.push(await other(['ipset', 'restore'], ipsetText));
    }
    yield row('nft -f', median(times.ours), median(times.nft));
    yield row('ipset restore', median(times.ours), median(times.ipset));
  },
};

function row(name: string, own: number, reference: number): BenchRow {
  const ours = `${own.toFixed(0)} ms`;
  return {
    work: `added and acknowledged, against ${name}`,
    ours,
    reference: `${name}: ${reference.toFixed(0)} ms`,
    ratio: reference / own,
  };
}
