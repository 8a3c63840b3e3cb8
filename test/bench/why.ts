/** `postern why` as a user runs it: from the start of Node to its end, without a daemon and with one. Needs root. */

import { spawnSync } from 'node:child_process';
import { DaemonBed } from '../kernel/daemon-bed.js';
import { type BenchRow, median, timed } from './bench.js';

const policy = `interfaces: { wan: wan }
tables: { bad: { entries: [203.0.113.64/26] } }
chains:
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { in: wan, tcp: [22, 443], do: accept }
`;
const packet = 'tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn';
const RUNS = 9;
const BOUND_MS = 400;

export async function* whyRows(): AsyncGenerator<BenchRow> {
  // Reading certificates is no part of it.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const ends: (() => Promise<void>)[] = [];
  const bed = await DaemonBed.open({ after: (end) => void ends.unshift(end) }, policy);
  try {
    await bed.space.run('ip', 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'peer');
    await bed.space.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'wan');
    await bed.space.run('ip', 'link', 'set', 'wan', 'up');
    await asked(() => bed.postern('apply', bed.policy, ...bed.places));
    yield await row('postern why, without a daemon', () => bed.postern('why', ...bed.places, packet));
    const daemon = await bed.start();
    yield await row('postern why, asking the daemon', () => bed.postern('why', packet));
    await daemon.stop();
  } finally {
    for (const end of ends) await end();
  }
}

async function row(work: string, ask: () => ReturnType<DaemonBed['postern']>): Promise<BenchRow> {
  const took: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    bare.push(await timed(() => void spawnSync(process.execPath, ['-e', '0'], { timeout: 60_000 })));
    took.push(await timed(() => asked(ask)));
  }
  const ms = median(took);
  return {
    work: `${work}, p50 of ${RUNS}`,
    ours: `${ms.toPrecision(3)} ms`,
    reference: `node -e 0: ${median(bare).toPrecision(3)} ms`,
    must: `≤ ${BOUND_MS} ms`,
    met: ms <= BOUND_MS,
  };
}

async function asked(ask: () => ReturnType<DaemonBed['postern']>): Promise<void> {
  const { status, err } = await ask();
  if (status !== 0) throw new Error(err);
}
