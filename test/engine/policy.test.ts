import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatDiff } from '../../src/engine/policy-diff.js';
import { PosternError } from '../../src/errors.js';
import { InterruptedLoad } from '../../src/kernel/kernel.js';
import { parseAddress } from '../../src/net/address.js';
import { formatRange, parseRange } from '../../src/net/prefix.js';
import { mergeRanges } from '../../src/net/ranges.js';
import { settle } from './fake-clock.js';
import { bench, entries, entry, source, words } from './fixture.js';
import { elementsOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h }
  office: { entries: [192.0.2.0/24] }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { from: <office>, do: accept }
      - { tcp: 22, do: accept }
`;

const changed = policy
  .replace('192.0.2.0/24', '192.0.2.0/25, 198.51.100.7')
  .replace('timeout: 1h', 'timeout: 2h')
  .replace('tcp: 22', 'tcp: 2222');

const text = (policyText: string) => ({ file: 'policy.yaml', text: policyText });

/** Whatever elements they are in. */
function addresses(elements: readonly string[]): string[] {
  return mergeRanges(elements.map((element) => parseRange(element.split(' ')[1]!))).map(formatRange);
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-engine-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

test('applying the same policy again is an empty plan and touches nothing', async () => {
  const { engine, kernel } = await bench(policy);
  assert.deepEqual(await engine.policy.plan(), { empty: true, changes: [], warnings: [] });
  const { diff } = await engine.policy.apply();
  assert.equal(diff.empty, true);
  assert.equal(kernel.loads, 1);
});

test('a plan says what would change, line by line, and changes nothing', async () => {
  const { engine, kernel } = await bench(policy);
  const diff = await engine.policy.plan(text(changed));
  const lines = formatDiff(diff).trimEnd().split('\n');
  assert.ok(
    lines.some((line) => /^\+ rule inet postern \S+: .*tcp dport 2222 .*\(policy\.yaml:11\)$/.test(line)),
    formatDiff(diff),
  );
  assert.ok(
    lines.some((line) => /^- rule inet postern \S+: .*tcp dport 22 .*\(policy\.yaml:11\)$/.test(line)),
    formatDiff(diff),
  );
  assert.ok(
    lines.includes('~ table <ban>: timeout 1h permanent → timeout 2h nft (policy.yaml:4)') ||
      lines.includes('~ table <ban>: timeout 1h nft → timeout 2h nft (policy.yaml:4)'),
  );
  assert.ok(lines.includes('- entry <office>: 192.0.2.0/24 (policy.yaml:5)'));
  assert.ok(lines.includes('+ entry <office>: 192.0.2.0/25 (policy.yaml:5)'));
  assert.ok(lines.includes('+ entry <office>: 198.51.100.7 (policy.yaml:5)'));
  assert.equal(kernel.loads, 1);
  assert.equal((await engine.policy.plan()).empty, true);
});

test('entries of the policy come and go with it, others stay', async () => {
  const { engine, kernel } = await bench(policy);
  await engine.tables.add('office', entries('192.0.2.0/24', '203.0.113.9'), source);
  await engine.tables.add('ban', entries('203.0.113.1'), source);
  await engine.policy.apply(text(changed));
  assert.deepEqual(words(await engine.tables.show('office')), [
    '192.0.2.0/24',
    '192.0.2.0/25',
    '198.51.100.7',
    '203.0.113.9',
  ]);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), [
    'hosts 198.51.100.7',
    'hosts 203.0.113.9',
    'prefixes 192.0.2.0/25',
    'prefixes 192.0.2.128/25',
  ]);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3600s']);
  await engine.tables.add('ban', entries('203.0.113.2'), source);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3600s', 'hosts 203.0.113.2 7200s']);
  await engine.policy.apply(text(policy));
  assert.deepEqual(words(await engine.tables.show('office')), ['192.0.2.0/24', '203.0.113.9']);
});

test('a table that left the policy is gone with its entries', async () => {
  const { engine } = await bench(policy);
  await engine.tables.add('ban', entries('203.0.113.1'), source);
  const without = policy.replace('  ban: { timeout: 1h }\n', '').replace('      - { from: <ban>, do: drop }\n', '');
  const { diff } = await engine.policy.apply(text(without));
  assert.ok(diff.changes.some(({ action, kind }) => action === 'delete' && kind === 'set'));
  await assert.rejects(engine.tables.show('ban'), { code: 'not-found' });
  await engine.policy.apply(text(policy));
  assert.deepEqual(words(await engine.tables.show('ban')), []);
});

test('a policy that is wrong or that the kernel refuses leaves everything as it was', async () => {
  const { engine, kernel } = await bench(policy);
  await engine.tables.add('ban', entries('203.0.113.1'), source);
  await assert.rejects(engine.policy.apply(text(policy.replace('drop', 'dorp'))), { code: 'policy' });
  for (const calls of [0, 1, 2, 3]) {
    const refusal = new PosternError('kernel', 'policy.yaml:11:9: the kernel refuses');
    const present = kernel.present.bind(kernel);
    let left = calls;
    kernel.present = async () => {
      if (left-- === 0) kernel.failNext(refusal);
      return present();
    };
    await assert.rejects(engine.policy.apply(text(changed)), /the kernel refuses/).catch((error: Error) => {
      if (calls < 3) throw error;
    });
    kernel.present = present;
  }
  await engine.policy.apply(text(policy));
  assert.deepEqual(words(await engine.tables.show('office')), ['192.0.2.0/24']);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3600s']);
});

test('a policy whose entries do not fit is taken back whole', async () => {
  const { engine, kernel } = await bench(policy.replace('office: {', 'office: { size: 3,'));
  await engine.tables.add('office', entries('203.0.113.1', '203.0.113.2', '203.0.113.3'), source);
  const tight = policy
    .replace('office: { entries: [192.0.2.0/24]', 'office: { size: 3, entries: [198.51.100.1]')
    .replace('tcp: 22', 'tcp: 23');
  await assert.rejects(engine.policy.apply(text(tight)), /table office is full/);
  assert.deepEqual(words(await engine.tables.show('office')), [
    '192.0.2.0/24',
    '203.0.113.1',
    '203.0.113.2',
    '203.0.113.3',
  ]);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), [
    'hosts 203.0.113.1',
    'hosts 203.0.113.2',
    'hosts 203.0.113.3',
    'prefixes 192.0.2.0/24',
  ]);
  assert.equal((await engine.policy.plan()).empty, true);
  assert.equal((await engine.metrics()).policy.failed, 1);
});

test('a change on trial goes back by itself, with the tables that it had dropped', async () => {
  const { engine, kernel, clock } = await bench(policy);
  await engine.tables.add('ban', entries('203.0.113.1'), source);
  const without = policy.replace('  ban: { timeout: 1h }\n', '').replace('      - { from: <ban>, do: drop }\n', '');
  const events: string[] = [];
  engine.events.on('policy', ({ what }) => events.push(what));
  const { confirmBy } = await engine.policy.apply(text(without), { confirmWithinMs: 60_000 });
  assert.equal(confirmBy, clock.wall() + 60_000);
  assert.equal(engine.policy.confirmBy, confirmBy);
  await assert.rejects(engine.policy.apply(text(changed)), { code: 'conflict' });
  await engine.tables.add('office', entries('203.0.113.5'), source);
  await clock.pass(61_000);
  assert.deepEqual(events, ['applied', 'rolled-back']);
  assert.equal(engine.policy.confirmBy, undefined);
  assert.equal(engine.policy.current!.source.text, policy);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3539s']);
  assert.deepEqual(words(await engine.tables.show('office')), ['192.0.2.0/24', '203.0.113.5']);
  await assert.rejects(engine.policy.confirm(), { code: 'conflict' });
});

test('a change that is confirmed in time stays', async () => {
  const { engine, clock } = await bench(policy);
  await engine.policy.apply(text(changed), { confirmWithinMs: 60_000 });
  await clock.pass(59_000);
  await engine.policy.confirm();
  await clock.pass(60_000);
  assert.equal(engine.policy.current!.source.text, changed);
  await engine.policy.apply(text(policy), { confirmWithinMs: 60_000 });
  const { diff } = await engine.policy.rollback();
  assert.equal(diff.empty, false);
  assert.equal(engine.policy.current!.source.text, changed);
  await assert.rejects(engine.policy.apply(text(policy), { confirmWithinMs: 1 }), { code: 'invalid' });
});

test('a trial that can not be taken back at its time is taken back as soon as it can', async () => {
  const { engine, kernel, clock } = await bench(policy);
  const troubles: string[] = [];
  engine.events.on('trouble', ({ error }) => troubles.push(error.message));
  await engine.policy.apply(text(changed), { confirmWithinMs: 60_000 });
  const load = kernel.load.bind(kernel);
  let failures = 3;
  kernel.load = async (...args) => {
    if (failures-- > 0) throw new PosternError('system', 'nft is missing');
    await load(...args);
  };
  await clock.pass(60_500);
  assert.deepEqual(troubles, ['nft is missing']);
  assert.equal(engine.policy.current!.source.text, changed);
  await assert.rejects(engine.policy.confirm(), { code: 'conflict', message: /too late/ });
  await clock.pass(3_000);
  assert.equal(troubles.length, 3);
  assert.equal(engine.policy.current!.source.text, policy);
  assert.equal(engine.policy.confirmBy, undefined);
  await clock.pass(10_000);
  assert.equal((await engine.metrics()).policy.rolledBack, 1);
});

test('after a load that broke off the kernel is brought to the policy in force, whatever it took of the other one', async () => {
  for (const took of [true, false]) {
    const { engine, kernel, clock } = await bench(policy);
    await engine.tables.add('ban', entries('203.0.113.1'), source);
    const load = kernel.load.bind(kernel);
    kernel.load = async (...args) => {
      kernel.load = load;
      if (took) await load(...args);
      throw new InterruptedLoad('system', 'nft was ended by SIGSEGV');
    };
    const hasMore = async () => [...(await kernel.present()).sets.keys()].some((name) => name.includes('more'));
    const more = policy.replace('  ban:', '  more: { timeout: 1d }\n  ban:');
    await assert.rejects(engine.policy.apply(text(more)), { code: 'system' });
    assert.equal(await hasMore(), took);
    await clock.pass(1_000);
    assert.equal(await hasMore(), false);
    assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3599s']);
    assert.equal((await engine.metrics()).drift.repaired, 1);
  }
});

test('a trial that the daemon did not outlive is over', async (t) => {
  const made = await bench(policy, { stateFolder: await folder(t) });
  await made.engine.policy.apply(text(changed), { confirmWithinMs: 60_000 });
  made.text = changed;
  await made.restart();
  assert.equal(made.engine.policy.current!.source.text, policy);
  assert.equal(made.engine.policy.confirmBy, undefined);
  await made.restart();
  assert.equal(made.engine.policy.current!.source.text, changed);
});

test('a restart finds every entry as it was, and loads nothing', async (t) => {
  const made = await bench(policy, { stateFolder: await folder(t) });
  await made.engine.tables.add(
    'ban',
    [entry('203.0.113.1'), { ...entry('203.0.113.2', 0), comment: 'for good' }],
    source,
  );
  await made.engine.tables.add(
    'ban',
    entries('198.51.100.0/24', 'not 198.51.100.9', '198.51.100.128/25', '2001:db8::/48'),
    source,
  );
  await made.clock.pass(600_000);
  const before = await elementsOf(made.kernel, made.engine, 'ban');
  await made.restart();
  assert.equal(made.kernel.loads, 0);
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'office'), ['prefixes 192.0.2.0/24']);
  const shown = [...(await made.engine.tables.show('ban'))];
  const times = new Set(shown.map(({ expiresAt }) => expiresAt));
  assert.deepEqual(times, new Set([made.clock.wall() + 3_000_000, undefined]));
  assert.equal(shown.find(({ comment }) => comment === 'for good')!.source.kind, 'import');
  assert.ok(words(shown).includes('203.0.113.1'));
  assert.deepEqual(addresses(await elementsOf(made.kernel, made.engine, 'ban')), addresses(before));
  assert.equal((await made.engine.tables.test('ban', parseAddress('198.51.100.9'))).inTable, false);
  await made.engine.tables.add('ban', entries('198.51.100.0/24'), source);
  assert.equal((await made.engine.policy.plan()).empty, true);
});

test('what left the policy while the daemon was away is gone after it came back', async (t) => {
  const made = await bench(policy, { stateFolder: await folder(t) });
  await made.engine.tables.add('office', entries('203.0.113.9'), source);
  made.text = changed;
  await made.restart();
  assert.deepEqual(words(await made.engine.tables.show('office')), ['192.0.2.0/25', '198.51.100.7', '203.0.113.9']);
});

test('without its state a restart takes the kernel as it is', async () => {
  const made = await bench(policy);
  await made.engine.tables.add('ban', entries('203.0.113.1'), source);
  await made.engine.tables.add('office', entries('203.0.113.9'), source);
  await made.restart();
  assert.deepEqual(words(await made.engine.tables.show('ban')), ['203.0.113.1']);
  assert.deepEqual(words(await made.engine.tables.show('office')), ['192.0.2.0/24', '203.0.113.9']);
});

test('a damaged state file is set aside with a word, and the kernel taken as it is', async (t) => {
  const stateFolder = await folder(t);
  const made = await bench(policy, { stateFolder });
  await made.engine.tables.add('ban', entries('203.0.113.1'), source);
  await writeFile(join(stateFolder, 'engine.json'), '{"format":1,');
  await made.restart();
  await settle();
  assert.deepEqual(words(await made.engine.tables.show('ban')), ['203.0.113.1']);
  assert.deepEqual((await readdir(stateFolder)).sort(), ['engine.json', 'engine.json.damaged']);
  assert.equal(JSON.parse(await readFile(join(stateFolder, 'engine.json'), 'utf8')).format, 1);
});

test('reads and changes wait while a load runs, and meet the new sets after it', async () => {
  const { engine, kernel } = await bench(policy);
  await engine.tables.add('ban', entries('203.0.113.1'), source);
  const load = kernel.load.bind(kernel);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  kernel.load = async (...args) => {
    await load(...args);
    await held;
  };
  const more = policy.replace('  ban:', '  aaa: {}\n  ban:');
  const applying = engine.policy.apply(text(more));
  await settle();
  const order: string[] = [];
  const noting = <T>(what: string, work: Promise<T>) =>
    work.then((result) => {
      order.push(what);
      return result;
    });
  const shown = noting('shown', engine.tables.show('ban'));
  const added = noting('added', engine.tables.add('ban', entries('203.0.113.2'), source));
  await settle();
  assert.deepEqual(order, []);
  release();
  await noting('applied', applying);
  await added;
  assert.equal(words(await shown)[0], '203.0.113.1');
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 203.0.113.1 3600s', 'hosts 203.0.113.2 3600s']);
  assert.deepEqual(await elementsOf(kernel, engine, 'aaa'), []);
});
