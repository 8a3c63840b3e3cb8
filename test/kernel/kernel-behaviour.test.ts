/** The behaviour of the real kernel, in a network namespace. Needs root. */

import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openKernel } from '../../src/kernel/open.js';
import { type Bench, kernelBehaviour } from './behaviour.js';
import { ipsetBehaviour } from './ipset-behaviour.js';
import { namespace } from './namespace.js';
import { planOf } from './plan.js';

const space = await namespace({ after });

async function open(t: TestContext): Promise<Bench> {
  await space.nft('flush ruleset');
  await space.run('ipset', 'destroy');
  const kernel = await openKernel({ netns: space.name });
  t.after(() => kernel.close());
  return {
    kernel,
    reopened: () => openKernel({ netns: space.name }),
    pass: (ms) => setTimeout(ms),
    async send(_kernel, packets) {
      await space.run('ping', '-q', '-c', String(packets), '-i', '0.002', '127.0.0.1');
    },
  };
}

kernelBehaviour(open);
ipsetBehaviour(open);

test('tables of others are not touched by loads and reloads', async (t) => {
  const space = await namespace(t);
  const kernel = await openKernel({ netns: space.name });
  t.after(() => kernel.close());
  await space.nft(
    'table inet postern2 {\n set s {\n type ipv4_addr\n elements = { 192.0.2.1 }\n }\n chain c {\n counter\n }\n}\n',
  );
  await space.nft('table ip nat {\n chain c {\n type nat hook postrouting priority 100\n masquerade\n }\n}\n');
  const theirs = async (): Promise<string> =>
    `${await space.list('list', 'table', 'inet', 'postern2')}${await space.list('list', 'table', 'ip', 'nat')}`;
  const before = await theirs();
  const full = planOf({
    tables: [{ family: 'inet', name: 'postern', objects: [{ kind: 'counter', name: 'c' }], sets: [], chains: [] }],
  });
  const none = planOf({ tables: [] });
  await kernel.load(full, undefined);
  await kernel.load(none, full.manifest);
  assert.equal(await theirs(), before);
  assert.doesNotMatch(await space.list('list', 'tables'), /postern$/m);
});

test('loading what is loaded is no transaction', async (t) => {
  const space = await namespace(t);
  const kernel = await openKernel({ netns: space.name });
  t.after(() => kernel.close());
  const plan = planOf({
    tables: [{ family: 'inet', name: 'postern', objects: [], sets: [], chains: [{ name: 'c', rules: [] }] }],
  });
  await kernel.load(plan, undefined);
  const handles = await space.list('-a', 'list', 'ruleset');
  const monitor = space.start('nft', ['monitor'], { timeout: 5_000 });
  await setTimeout(300);
  await kernel.load(plan, plan.manifest);
  monitor.kill('SIGTERM');
  assert.equal((await monitor).stdout, '');
  assert.equal(await space.list('-a', 'list', 'ruleset'), handles);
});
