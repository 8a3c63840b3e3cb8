/** A policy of 1,000 rules and 10,000 entries: from YAML text to the kernel, against `nft -f` of the ready text. */

import { execa } from 'execa';
import { compileText } from '../../src/cli/policy-file.js';
import { withEntries } from '../../src/compiler/entries.js';
import { renderRuleset } from '../../src/nft/render.js';
import { namespace } from '../kernel/namespace.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';
import { inScope, inWorld } from './world.js';

const rules = 1_000;
const entries = 10_000;
const rounds = 3;

function policyOf(ruleCount: number, entryCount: number): string {
  const addresses = Array.from({ length: entryCount }, (_, n) => `198.18.${n >> 8}.${n & 0xff}`);
  const lines = Array.from(
    { length: ruleCount },
    (_, n) => `      - { from: 203.0.113.${n % 250}, tcp: ${1000 + n}, do: drop }`,
  );
  return `version: 1
tables:
  listed: { size: 100000, entries: [${addresses.join(', ')}] }
chains:
  input:
    policy: accept
    rules:
      - { from: <listed>, do: drop }
${lines.join('\n')}
`;
}

const full = policyOf(rules, entries);
const small = policyOf(1, 1);

async function ours(): Promise<{ first: number; again: number }> {
  return inWorld(small, async (world) => {
    world.policy = full;
    const first = await timed(() => world.engine.policy.apply());
    world.policy = `${full}# the same again\n`;
    const again = await timed(() => world.engine.policy.apply());
    return { first, again };
  });
}

async function nft(text: string): Promise<{ first: number; again: number }> {
  return inScope(async (scope) => {
    const space = await namespace(scope);
    const load = () => execa('nsenter', [`--net=/run/netns/${space.name}`, '--', 'nft', '-f', '-'], { input: text });
    const first = await timed(load);
    return { first, again: await timed(load) };
  });
}

export const applyBench: Bench = {
  name: 'apply',
  title: `A policy of ${rules} rules and ${entries} entries`,
  async *run() {
    const text = renderRuleset(withEntries(compileText({ file: 'bench.yaml', text: full }).plan));
    const times = { ours: [] as { first: number; again: number }[], nft: [] as { first: number; again: number }[] };
    for (let round = 0; round < rounds; round += 1) {
      times.ours.push(await ours());
      times.nft.push(await nft(text));
    }
    yield row(
      'YAML to kernel, with its check beforehand',
      times.ours.map(({ first }) => first),
      times.nft.map(({ first }) => first),
    );
    yield row(
      'applied again, nothing to change',
      times.ours.map(({ again }) => again),
      times.nft.map(({ again }) => again),
    );
  },
};

function row(work: string, own: readonly number[], other: readonly number[]): BenchRow {
  const [a, b] = [median(own), median(other)];
  return { work, ours: `${a.toFixed(0)} ms`, reference: `nft -f of the ready text: ${b.toFixed(0)} ms`, ratio: b / a };
}
