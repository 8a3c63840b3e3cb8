import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import { bench, entries, source, words } from './fixture.js';
import { elementsOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  ban: {}
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
`;

test('a change that fails takes those along that were built on it, and the kernel is brought to what the table says', async () => {
  const { engine, kernel, clock } = await bench(policy);
  const change = kernel.change.bind(kernel);
  const refusals = [false, true, false];
  kernel.change = async (...args) => {
    if (refusals.shift()) throw new PosternError('kernel', 'no memory');
    await change(...args);
  };
  const results = await Promise.allSettled([
    engine.tables.add('ban', entries('198.51.100.0/24'), source),
    engine.tables.add('ban', entries('not 198.51.100.64/26'), source),
    engine.tables.add('ban', entries('198.51.100.80'), source),
    engine.tables.add('ban', entries('198.51.100.64/27'), source),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  );
  await clock.pass(1_000);
  assert.deepEqual(words(await engine.tables.show('ban')), ['198.51.100.0/24', '198.51.100.80']);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 198.51.100.80', 'prefixes 198.51.100.0/24']);
});

test('a table whose changes go on failing is compared now and then, not all the time', async () => {
  const { engine, kernel, clock } = await bench(policy);
  let dumps = 0;
  const dump = kernel.dump.bind(kernel);
  kernel.dump = async (...args) => {
    dumps++;
    return dump(...args);
  };
  kernel.change = async () => {
    throw new PosternError('full', 'set full');
  };
  for (let second = 0; second < 30; second++) {
    await assert.rejects(engine.tables.add('ban', entries('198.51.100.1'), source), { code: 'full' });
    await clock.pass(1_000);
  }
  assert.ok(dumps >= 4 && dumps <= 4 * 4, `${dumps} listings`);
});
