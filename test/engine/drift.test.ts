import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DriftEdge } from '../../src/engine/drift.js';
import { emptyLoadable } from '../../src/engine/loader.js';
import { PosternError } from '../../src/errors.js';
import type { ForeignChange, MonitorReader } from '../../src/kernel/monitor.js';
import { type Bench, bench, entries, entry, source } from './fixture.js';
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

/** A monitor that tells what a test says. */
class Monitor implements DriftEdge {
  reader: MonitorReader | undefined;
  closed = false;
  #generation = 7;

  watch(reader: MonitorReader) {
    this.reader = reader;
    return {
      close: () => {
        this.closed = true;
      },
    };
  }

  async generation() {
    return this.#generation;
  }

  /** A transaction that this process doesn't hear of. */
  count(): void {
    this.#generation++;
  }

  tell(...changes: ForeignChange[]): void {
    this.count();
    this.reader!.commit({ id: this.#generation, processId: 4711, processName: 'nft', changes });
  }
}

async function driftBench(): Promise<Bench & { monitor: Monitor; events: string[] }> {
  const monitor = new Monitor();
  const made = await bench(policy, { drift: monitor });
  const load = made.kernel.load.bind(made.kernel);
  made.kernel.load = async (...args) => {
    await load(...args);
    monitor.count();
  };
  const events: string[] = [];
  made.engine.events.on('drift', ({ what, detail }) => events.push(`${what} ${detail}`));
  await made.engine.tables.add('ban', entries('203.0.113.1', '203.0.113.128/25'), source);
  return Object.assign(made, { monitor, events });
}

test('after somebody flushed the ruleset everything is back within a second, bans with their remaining time', async () => {
  const made = await driftBench();
  const { engine, kernel, clock, monitor, events } = made;
  await clock.pass(1_200_000);
  const before = [await elementsOf(kernel, engine, 'ban'), await elementsOf(kernel, engine, 'office')];
  await kernel.reopened().load(emptyLoadable.plan, engine.policy.current!.plan.manifest);
  assert.equal((await kernel.present()).tables.size, 0);
  monitor.tell({ op: 'delete', object: 'table', path: 'inet postern', count: 1 });
  await clock.pass(1_000);
  assert.deepEqual(
    [await elementsOf(kernel, engine, 'ban'), await elementsOf(kernel, engine, 'office')],
    [before[0]!.map((line) => line.replace('2400s', '2399s')), before[1]],
  );
  assert.deepEqual(events, [
    'found nft (4711) deleted table: inet postern',
    'repaired nft (4711) deleted table: inet postern',
  ]);
  const { drift } = await engine.metrics();
  assert.deepEqual([drift.found, drift.repaired, drift.failed], [1, 1, 0]);
  assert.equal((await engine.policy.plan()).empty, true);
});

test('elements that somebody deletes come back, those that somebody adds go', async () => {
  const { engine, kernel, clock, monitor } = await driftBench();
  const hosts = setOf(engine, 'ban', 'hosts', 4);
  const other = kernel.reopened();
  await other.adopt(engine.policy.current!.plan.manifest);
  await other.change([
    { op: 'delete', set: hosts, key: Uint8Array.of(203, 0, 113, 1) },
    { op: 'add', set: hosts, key: Uint8Array.of(203, 0, 113, 2) },
    { op: 'flush', set: setOf(engine, 'ban', 'prefixes', 4) },
  ]);
  const { table, name } = engine.policy.current!.plan.manifest.sets[hosts]!;
  monitor.tell({ op: 'delete', object: 'element', path: `${table} postern ${name}`, count: 1 });
  await clock.pass(500);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), [
    'hosts 203.0.113.1 3600s',
    'prefixes 203.0.113.128/25 3600s',
  ]);
  assert.equal(kernel.loads, 1);
});

test('what this engine loads and changes itself is no drift', async () => {
  const { engine, clock, monitor, kernel, events } = await driftBench();
  const load = kernel.load.bind(kernel);
  kernel.load = async (...args) => {
    await load(...args);
    monitor.reader!.commit({
      id: await monitor.generation(),
      changes: [{ op: 'new', object: 'rule', path: 'inet postern input', count: 3 }],
    });
  };
  await engine.policy.apply({ file: 'policy.yaml', text: policy.replace('timeout: 1h', 'size: 500') });
  monitor.reader!.commit({
    id: await monitor.generation(),
    changes: [{ op: 'delete', object: 'rule', path: 'inet postern input', count: 3 }],
  });
  await engine.tables.add('ban', [entry('203.0.113.3')], source);
  await clock.pass(2_000);
  assert.deepEqual(events, []);
});

test('lost events and changes that came during a load make everything be looked at', async () => {
  const { engine, kernel, clock, monitor, events } = await driftBench();
  const other = kernel.reopened();
  await other.adopt(engine.policy.current!.plan.manifest);
  await other.change([{ op: 'flush', set: setOf(engine, 'office', 'hosts', 4) }]);
  monitor.reader!.resync('events were lost');
  await clock.pass(500);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), ['hosts 198.51.100.9', 'prefixes 192.0.2.0/24']);
  const load = kernel.load.bind(kernel);
  kernel.load = async (...args) => {
    await load(...args);
    if (events.length < 3) {
      monitor.count();
      await other.change([{ op: 'flush', set: setOf(engine, 'office', 'hosts', 4) }]);
    }
  };
  await engine.policy.apply({ file: 'policy.yaml', text: policy.replace('timeout: 1h', 'size: 500') });
  await clock.pass(500);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), ['hosts 198.51.100.9', 'prefixes 192.0.2.0/24']);
  assert.deepEqual(events, [
    'found events were lost',
    'repaired events were lost',
    'found a change during a load',
    'repaired a change during a load',
  ]);
});

test('a repair that fails is tried again, later and later', async () => {
  const { engine, kernel, clock, monitor, events } = await driftBench();
  const load = kernel.load.bind(kernel);
  let failures = 3;
  kernel.load = async (...args) => {
    if (failures-- > 0) throw new PosternError('system', 'nft is missing');
    await load(...args);
  };
  monitor.tell({ op: 'delete', object: 'rule', path: 'inet postern input', count: 1 });
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

test('nothing is watched after the engine has stopped', async () => {
  const { engine, clock, monitor, events } = await driftBench();
  await engine.stop();
  assert.equal(monitor.closed, true);
  monitor.tell({ op: 'delete', object: 'table', path: 'inet postern', count: 1 });
  await clock.pass(5_000);
  assert.deepEqual(events, []);
});
