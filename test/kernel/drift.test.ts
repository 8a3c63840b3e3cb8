/** What others do to our tables, as the engine sees it: from the real kernel and from the fake. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeKernel } from '../../src/kernel/fake.js';
import type { Drift } from '../../src/kernel/kernel.js';
import { openKernel } from '../../src/kernel/open.js';
import { namespace, until } from './namespace.js';
import { planOf } from './plan.js';

const plan = planOf({
  tables: [
    {
      family: 'inet',
      name: 'postern',
      objects: [],
      sets: ['a4', 'b4'].map((name) => ({ name, key: { type: ['ipv4_addr'] }, flags: ['timeout'], size: 100 })),
      chains: [{ name: 'c', rules: [] }],
    },
  ],
});
const key = Uint8Array.of(192, 0, 2, 1);

test('foreign transactions are told by set, own loads and changes are not', async (t) => {
  const space = await namespace(t);
  const kernel = await openKernel({ netns: space.name });
  t.after(() => kernel.close());
  const drifts: Drift[] = [];
  const stop = kernel.watch({ changed: (drift) => drifts.push(drift), resync: (reason) => assert.fail(reason) });
  await kernel.load(plan, undefined);
  await kernel.change([{ op: 'add', set: 0, key }]);
  await space.nft('add table ip theirs');
  await space.nft('add element inet postern b4 { 192.0.2.9 }');
  await until('the addition', () => drifts.length === 1);
  await space.nft('flush set inet postern a4');
  await until('the flush', () => drifts.length === 2);
  await space.nft('flush ruleset');
  await until('the end', () => drifts.length === 3);
  assert.deepEqual(
    drifts.map(({ structure, sets }) => [structure, sets]),
    [
      [false, [1]],
      [false, [0]],
      [true, []],
    ],
  );
  assert.match(drifts[0]?.by ?? '', /^nft \(process \d+\)$/);
  stop();
  await kernel.load(plan, undefined);
  assert.equal(drifts.length, 3);
});

test('the fake tells the same', async () => {
  const kernel = fakeKernel();
  const told: unknown[] = [];
  const stop = kernel.watch({
    changed: ({ structure, sets }) => told.push([structure, sets]),
    resync: (reason) => told.push(reason),
  });
  await kernel.load(plan, undefined);
  await kernel.change([{ op: 'add', set: 0, key }]);
  kernel.foreignChange([{ op: 'add', set: 1, key }]);
  kernel.foreignChange([{ op: 'flush', set: 0 }]);
  assert.equal(await kernel.get(0, { key }), undefined);
  kernel.flushRuleset();
  assert.equal((await kernel.present()).tables.size, 0);
  kernel.loseEvents();
  stop();
  kernel.loseEvents();
  assert.deepEqual(told, [[false, [1]], [false, [0]], [true, []], 'events were lost']);
});
