import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { entries, entry, source, words } from './fixture.js';
import { elementsOf } from './kernel-content.js';
import { storeBench } from './store-bench.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h, size: 10000 }
  office: { entries: [192.0.2.0/24] }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { from: <office>, do: accept }
`;

test('after a reboot every live entry is back, as it was and with its remaining time', async () => {
  const made = await storeBench(policy);
  await made.engine.tables.add(
    'ban',
    [
      { ...entry('203.0.113.1'), comment: 'ssh' },
      ...entries('198.51.100.0/24', 'not 198.51.100.9', '2001:db8::/48'),
      entry('203.0.113.2', 0),
    ],
    { kind: 'pftabled', id: '192.0.2.1' },
  );
  await made.engine.tables.add('ban', [entry('203.0.113.3', 60_000)], source);
  await made.engine.tables.delete('ban', [parsePrefix('203.0.113.2')], source);
  await made.clock.pass(600_000);
  const shown = [...(await made.engine.tables.show('ban'))];
  const elements = await elementsOf(made.kernel, made.engine, 'ban');
  assert.equal(shown.length, 4);
  await made.again('reboot');
  assert.deepEqual([...(await made.engine.tables.show('ban'))], shown);
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'ban'), elements);
  assert.equal(made.kernel.loads, 1);
});

test('a restart beside a kernel that went on changes nothing in it', async () => {
  const made = await storeBench(policy);
  await made.engine.tables.add('ban', entries('203.0.113.1', '198.51.100.0/24', 'not 198.51.100.9'), source);
  const elements = await elementsOf(made.kernel, made.engine, 'ban');
  await made.again('restart');
  assert.deepEqual(words(await made.engine.tables.show('ban')), ['198.51.100.0/24', 'not 198.51.100.9', '203.0.113.1']);
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'ban'), elements);
});

test('what the kernel refused is not on disk either, and what was acknowledged is', async () => {
  const made = await storeBench(policy);
  made.kernel.failNext(new PosternError('kernel', 'no memory'));
  await assert.rejects(made.engine.tables.add('ban', entries('203.0.113.1'), source), /no memory/);
  await made.engine.tables.add('ban', entries('203.0.113.2'), source);
  const many = Array.from({ length: 10_001 }, (_, i) => ({
    prefix: { family: 4 as const, value: 0xc6120000n + BigInt(i), length: 32 },
  }));
  await assert.rejects(made.engine.tables.add('ban', many, source), { code: 'full' });
  await made.again('reboot');
  assert.deepEqual(words(await made.engine.tables.show('ban')), ['203.0.113.2']);
});

test('entries of a table that left the policy do not come back with it', async () => {
  const made = await storeBench(policy);
  await made.engine.tables.add('ban', entries('203.0.113.1'), source);
  const without = policy
    .replace('  ban: { timeout: 1h, size: 10000 }\n', '')
    .replace('      - { from: <ban>, do: drop }\n', '');
  await made.engine.policy.apply({ file: 'policy.yaml', text: without });
  await made.engine.policy.apply({ file: 'policy.yaml', text: policy });
  assert.deepEqual(words(await made.engine.tables.show('ban')), []);
  await made.again('reboot');
  assert.deepEqual(words(await made.engine.tables.show('ban')), []);
});

test('a flush and a replacement are on disk', async () => {
  const made = await storeBench(policy);
  await made.engine.tables.add('ban', entries('203.0.113.1', '203.0.113.2'), source);
  await made.engine.tables.replace('ban', entries('203.0.113.2', '203.0.113.3'), source);
  await made.engine.tables.add('office', entries('203.0.113.4'), source);
  await made.engine.tables.flush('office', source);
  await made.again('reboot');
  assert.deepEqual(words(await made.engine.tables.show('ban')), ['203.0.113.2', '203.0.113.3']);
  assert.deepEqual(words(await made.engine.tables.show('office')), ['192.0.2.0/24']);
});
