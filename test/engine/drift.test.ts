import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import { type Bench, bench, entries, source } from './fixture.js';
import { elementsOf, setOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h }
  office: { entries: [192.0.2.0/24, 198.51.100.9] }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { from: <office>, do: accept }
`;

async function driftBench(): Promise<Bench & { events: string[] }> {
  const made = await bench(policy);
  const events: string[] = [];
  made.engine.events.on('drift', ({ what, detail }) => events.push(`${what} ${detail}`));
  await made.engine.tables.add('ban', entries('203.0.113.1', '203.0.113.128/25'), source);
  return Object.assign(made, { events });
}

test('after somebody flushed the ruleset everything is back within a second, bans with their remaining time', async () => {
  const made = await driftBench();
  const { engine, kernel, clock, events } = made;
  await clock.pass(1_200_000);
  const before = [await elementsOf(kernel, engine, 'ban'), await elementsOf(kernel, engine, 'office')];
  kernel.flushRuleset();
  assert.equal((await kernel.present()).tables.size, 0);
  await clock.pass(1_000);
  assert.deepEqual(
    [await elementsOf(kernel, engine, 'ban'), await elementsOf(kernel, engine, 'office')],
    [before[0]!.map((line) => line.replace('2400s', '2399s')), before[1]],
  );
  assert.deepEqual(events, [
    'found nft (process 1) changed tables, chains, rules, sets or objects',
    'repaired nft (process 1) changed tables, chains, rules, sets or objects',
  ]);
  const { drift } = await engine.metrics();
  assert.deepEqual([drift.found, drift.repaired, drift.failed], [1, 1, 0]);
  assert.equal((await engine.policy.plan()).empty, true);
});

test('elements that somebody deletes come back, those that somebody adds go', async () => {
  const { engine, kernel, clock } = await driftBench();
  const hosts = setOf(engine, 'ban', 'hosts', 4);
  kernel.foreignChange([
    { op: 'delete', set: hosts, key: Uint8Array.of(203, 0, 113, 1) },
    { op: 'add', set: hosts, key: Uint8Array.of(203, 0, 113, 2) },
    { op: 'flush', set: setOf(engine, 'ban', 'prefixes', 4) },
  ]);
  await clock.pass(500);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), [
    'hosts 203.0.113.1 3600s',
    'prefixes 203.0.113.128/25 3600s',
  ]);
  assert.equal(kernel.loads, 1);
});

test('after lost events everything is looked at', async () => {
  const { engine, kernel, clock, events } = await driftBench();
  const before = await elementsOf(kernel, engine, 'office');
  const other = kernel.reopened();
  await other.adopt(engine.policy.current!.plan.manifest);
  await other.change([{ op: 'flush', set: setOf(engine, 'office', 'hosts', 4) }]);
  kernel.loseEvents();
  await clock.pass(500);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), before);
  assert.deepEqual(events, ['found events were lost', 'repaired events were lost']);
});

test('a repair that fails is tried again, later and later', async () => {
  const { engine, kernel, clock, events } = await driftBench();
  const load = kernel.load.bind(kernel);
  let failures = 3;
  kernel.load = async (...args) => {
    if (failures-- > 0) throw new PosternError('system', 'nft is missing');
    await load(...args);
  };
  kernel.flushRuleset();
  await clock.pass(900);
  assert.equal(events.length, 2);
  await clock.pass(8_000);
  assert.deepEqual(
    events.map((event) => event.split(' ')[0]),
    ['found', 'failed', 'failed', 'failed', 'repaired'],
  );
  const { drift } = await engine.metrics();
  assert.equal(drift.failed, 3);
  assert.ok(drift.repairMs >= 7_000);
});

test('nothing is watched after the engine has stopped, or when it was not asked to repair', async () => {
  const { engine, kernel, clock, events } = await driftBench();
  await engine.stop();
  kernel.flushRuleset();
  await clock.pass(5_000);
  assert.deepEqual(events, []);
  const other = await bench(policy, { repairs: false });
  other.kernel.flushRuleset();
  await other.clock.pass(5_000);
  assert.equal((await other.kernel.present()).tables.size, 0);
});
