/** An engine whose nft is missing, hangs, or crashes half-way: nothing that was acknowledged is lost. Needs root. */

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { entries, source } from '../engine/fixture.js';
import { type LiveBench, liveBench } from './engine-fixture.js';
import { type Namespace, namespace, type Scope, until } from './namespace.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
`;
const other = `${policy}      - { tcp: 22, do: drop }\n`;

interface Faulty {
  readonly space: Namespace;
  readonly bench: LiveBench;
  /** What stands in for nft from now on: lines of a shell; none: it is missing. */
  nft(script: string | undefined): Promise<void>;
  inKernel(): Promise<string>;
}

const honest = 'exec nft "$@"';

async function faulty(t: Scope, nftTimeoutMs = 60_000): Promise<Faulty> {
  const space = await namespace(t);
  const folder = await mkdtemp(join(tmpdir(), 'postern-nft-'));
  t.after(() => rm(folder, { recursive: true }));
  const command = join(folder, 'nft');
  const nft = async (script: string | undefined) => {
    if (script === undefined) return rm(command);
    await writeFile(command, `#!/bin/sh\n${script}\n`);
    await chmod(command, 0o755);
  };
  await nft(honest);
  const bench = await liveBench(t, space, policy, {}, { nftCommand: command, nftTimeoutMs });
  await bench.engine.tables.add('ban', entries('203.0.113.1'), source);
  return { space, bench, nft, inKernel: () => space.list('-s', 'list', 'ruleset') };
}

/** The rules are those of the policy, and what was acknowledged before and after is there. */
async function assertWhole({ bench, inKernel }: Faulty): Promise<void> {
  await until('the ban from before', async () => (await inKernel()).includes('203.0.113.1'), 20_000);
  await until('the rules of the policy in force', async () => !(await inKernel()).includes('dport 22'), 20_000);
  await bench.engine.tables.add('ban', entries('203.0.113.2'), source);
  await until('both bans', async () => /203\.0\.113\.1 .*203\.0\.113\.2 /s.test(await inKernel()), 20_000);
  const { inTable } = await bench.engine.tables.test('ban', parseAddress('203.0.113.1'));
  assert.equal(inTable, true);
}

test('after an nft that crashed when its work was done the policy in force is back', async (t) => {
  const made = await faulty(t);
  // Only loads: a listing and a check are asked for before.
  await made.nft('nft "$@"; case "$*" in "-f -") kill -SEGV $$;; esac');
  const broken = made.bench.engine.policy.apply({ file: 'policy.yaml', text: other });
  await assert.rejects(broken, { code: 'system', message: /SIGSEGV.*postern plan/ });
  assert.match(await made.inKernel(), /dport 22/);
  await made.nft(honest);
  await assertWhole(made);
});

test('an nft that hangs before or after its work is stopped, and the policy in force is back', async (t) => {
  for (const hang of ['sleep 60', 'nft "$@"; sleep 60']) {
    const made = await faulty(t, 2_000);
    await made.nft(`case "$*" in "-f -") ${hang};; *) exec nft "$@";; esac`);
    const stuck = made.bench.engine.policy.apply({ file: 'policy.yaml', text: other });
    await assert.rejects(stuck, { code: 'timeout', message: /longer than 2 s.*postern plan/ });
    // Meanwhile bans go on: they need no nft.
    await made.bench.engine.tables.add('ban', entries('203.0.113.3'), source);
    await made.nft(honest);
    await assertWhole(made);
  }
});

test('without nft bans go on, a policy is refused with what to do, and a repair waits for nft', async (t) => {
  const made = await faulty(t);
  const { engine } = made.bench;
  await made.nft(undefined);
  const refused = engine.policy.apply({ file: 'policy.yaml', text: other });
  await assert.rejects(refused, { code: 'system', message: /nft is missing; install it: apt-get install nftables/ });
  const failed: string[] = [];
  engine.events.on('drift', ({ what, detail }) => {
    if (what === 'failed') failed.push(detail);
  });
  await engine.tables.add('ban', entries('203.0.113.2'), source);
  await made.space.run('nft', 'flush', 'ruleset');
  await until('a repair that fails', () => failed.length > 0, 20_000);
  assert.match(failed[0] ?? '', /apt-get install nftables/);
  await made.nft(honest);
  await assertWhole(made);
});
