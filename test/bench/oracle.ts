/** Packets through the scratch host: how long a world, a packet, a proof and a run of tests take. Needs root. */

import { spawnSync } from 'node:child_process';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Injection } from '../../src/kernel/scratch.js';
import { parseAddress } from '../../src/net/address.js';
import { scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import { PolicyIndex } from '../../src/oracle/policy-index.js';
import { type LivingFlow, proveSurvival } from '../../src/oracle/survival.js';
import { Trial } from '../../src/oracle/trial.js';
import { turned } from '../../src/wire/conntrack-flows.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';
import { compiled, tcp, world } from '../kernel/scratch-world.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';
import { whyRows } from './why.js';

const plan = compiled(`
version: 1
interfaces: { wan: wan, lan: lan }
tables: { bad: { entries: [203.0.113.64/26] } }
chains:
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { in: wan, tcp: [22, 443], do: accept }
  forward:
    policy: drop
    rules:
      - { state: [established, related], do: accept }
      - { in: lan, out: wan, do: accept }
`);
const contents = planContents(plan, world.interfaces);
const load = { ruleset: plan.ruleset, contents };

/** Long enough for the devices of the world before to be closed. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

function row(work: string, ms: number, bound: number): BenchRow {
  return { work, ours: `${ms.toPrecision(3)} ms`, must: `≤ ${bound} ms`, met: ms <= bound };
}

async function* run(): AsyncGenerator<BenchRow> {
  const trial = new Trial(await openScratch());
  try {
    yield row('world built, warm, p50 of 15', await builds(trial), 5);
    await trial.load({ ...load, twin: true });
    yield row('packet with its whole trace, warm, p50 of 500', await singles(trial), 0.15);
    await trial.load(load);
    const thousand = Array.from({ length: 1000 }, () => injection());
    yield row('1,000 test packets', median(await times(5, () => trial.send(thousand))), 300);
    const flows = Array.from({ length: 100 }, (_, index) => flow(index));
    const then = { ...load, index: new PolicyIndex(undefined) };
    yield row(
      'proof for 100 connections, both policies',
      median(await times(5, () => proveSurvival(trial, flows, load, then))),
      250,
    );
  } finally {
    trial.dispose();
  }
  const main = new URL('../../src/cli/postern.cjs', import.meta.url).pathname;
  const args = [main, 'test', new URL('../../../rules/demo.test.yaml', import.meta.url).pathname];
  const cold = await times(5, () => void spawnSync(process.execPath, args, { timeout: 60_000 }));
  yield {
    work: 'postern test rules/demo.test.yaml, with the start of Node',
    ours: `${median(cold).toPrecision(3)} ms`,
  };
  yield* whyRows();
}

async function builds(trial: Trial): Promise<number> {
  const took: number[] = [];
  for (let count = 0; count < 18; count++) {
    took.push(await timed(() => trial.build(scratchHost(world))));
    await pause();
  }
  return median(took.slice(3));
}

/** Ten in one call, as tests send them: what one of them takes when this program is warm, after some 2,000. */
async function singles(trial: Trial): Promise<number> {
  const packets = (): Injection[] => Array.from({ length: 10 }, () => injection());
  await times(200, () => trial.send(packets()));
  const rounds = Array.from({ length: 50 }, packets);
  const took: number[] = [];
  for (const round of rounds) took.push(await timed(() => trial.send(round)));
  return median(took) / 10;
}

async function times(count: number, work: () => unknown): Promise<number[]> {
  const took: number[] = [];
  for (let round = 0; round < count; round++) took.push(await timed(work));
  return took;
}

const injection = (): Injection => ({
  packet: encodePacket(tcp('203.0.113.9', '192.0.2.1', 22)),
  at: { device: 'wan' },
});

function flow(index: number): LivingFlow {
  const tuple = {
    source: parseAddress(`203.0.113.${1 + (index % 50)}`),
    destination: parseAddress('192.0.2.1'),
    sourcePort: 5000 + index,
    destinationPort: 22,
  };
  const entry = { protocol: PROTOCOL.TCP, original: tuple, reply: turned(tuple) };
  return { name: `ssh/${index}`, protocol: PROTOCOL.TCP, tuple, entry };
}

export const oracleBench: Bench = { name: 'oracle', title: 'Packets through the real kernel', run };
