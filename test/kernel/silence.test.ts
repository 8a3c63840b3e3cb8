import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMonitor } from '../../src/kernel/monitor.js';
import { openKernel } from '../../src/kernel/open.js';
import { Silence } from '../../src/kernel/silence.js';
import { namespace, type Scope, until } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

/** A silence over a kernel that counts transactions. */
function bed() {
  const told: string[] = [];
  const timers: (() => void)[] = [];
  const kernel = { generation: 7 };
  const silence = new Silence({
    generation: async () => kernel.generation,
    later: (_, run) => timers.push(run),
  });
  silence.add({
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
    missed: () => told.push('missed'),
  });
  const commit = async (committed?: (generation: number) => void) => committed?.(++kernel.generation);
  const around = (changes: number, transact: Parameters<Silence['around']>[1] = commit) =>
    silence.around(changes, transact);
  const quiet = async () => {
    for (const run of timers.splice(0)) run();
    await silence.end();
  };
  return { told, kernel, around, quiet };
}

test('small transactions are heard, large ones are not', async () => {
  const { told, around, quiet } = bed();
  await around(10);
  assert.deepEqual(told, []);
  await around(2_000);
  await around(10);
  await around(2_000);
  assert.deepEqual(told, ['pause']);
  await quiet();
  assert.deepEqual(told, ['pause', 'resume']);
});

test('a transaction of somebody else in between is found missing', async () => {
  const { told, kernel, around, quiet } = bed();
  await around(2_000);
  kernel.generation++;
  await quiet();
  assert.deepEqual(told, ['pause', 'resume', 'missed']);
});

test('what was refused, or changed nothing, was no transaction', async () => {
  const { told, kernel, around, quiet } = bed();
  await around(2_000, async () => {});
  await assert.rejects(around(2_000, () => Promise.reject(new Error('refused as a whole'))));
  await around(2_000);
  await quiet();
  assert.deepEqual(told, ['pause', 'resume']);
  await around(2_000, async () => {});
  kernel.generation++;
  await quiet();
  assert.deepEqual(told.slice(2), ['pause', 'resume', 'missed']);
});

test("a transaction of which nobody knows whose it was may be somebody else's", async () => {
  const { told, kernel, around, quiet } = bed();
  await assert.rejects(
    around(2_000, async () => {
      kernel.generation++;
      throw new Error('its result is unknown');
    }),
  );
  await around(2_000);
  await quiet();
  assert.deepEqual(told, ['pause', 'resume', 'missed']);
});

test('where the kernel does not tell which transactions are ours there is no second silence', async () => {
  const { told, kernel, around, quiet } = bed();
  const untold = async () => {
    kernel.generation++;
  };
  await around(2_000, untold);
  await quiet();
  await around(2_000, untold);
  await quiet();
  assert.deepEqual(told, ['pause', 'resume', 'missed']);
});

test('the generation starts over, without 0', async () => {
  const { told, kernel, around, quiet } = bed();
  kernel.generation = 0xffff_ffff;
  await around(2_000, async (committed) => {
    kernel.generation = 1;
    committed?.(1);
  });
  await quiet();
  assert.deepEqual(told, ['pause', 'resume']);
});

async function watched(t: Scope) {
  const space = await namespace(t);
  await space.nft(testSets);
  const kernel = await openKernel({ netns: space.name });
  t.after(() => kernel.close());
  await kernel.adopt(testManifest);
  const told: string[] = [];
  const unwatch = kernel.watch({
    changed: ({ sets }) => told.push(`changed ${sets}`),
    resync: (reason) => told.push(`resync: ${reason}`),
  });
  t.after(async () => unwatch());
  return { space, kernel, told };
}

const large = Array.from(
  { length: 2_000 },
  (_, index) => ({ op: 'add', set: 1, key: Uint8Array.of(198, 18, index >> 8, index & 255) }) as const,
);

test('in the kernel: after a large change others are heard again, and nothing was missed', async (t) => {
  const { space, kernel, told } = await watched(t);
  await kernel.change(large);
  await kernel.elements.idle();
  await space.nft('add element inet t counted { 192.0.2.1 }');
  await until('the change of nft', () => told.length > 0);
  assert.deepEqual(told, ['changed 1']);
});

test('in the kernel: what somebody does during a large change is noticed', async (t) => {
  const { space, kernel, told } = await watched(t);
  await kernel.change(large);
  const foreign = space.nft('flush set inet t counted');
  for (let done = false; !done; ) {
    await kernel.change(large);
    done = await Promise.race([foreign.then(() => true), new Promise<false>((go) => setImmediate(go, false))]);
  }
  await kernel.elements.idle();
  await until('word of the flush', () => told.length > 0);
  assert.ok(
    told.some((what) => /changed 1|not watched/.test(what)),
    told.join(),
  );
});

test('a monitor that is paused hears nothing, and what follows afterwards', async (t) => {
  const space = await namespace(t);
  await space.nft(testSets);
  const paths: string[] = [];
  const monitor = openMonitor(
    { commit: ({ changes }) => paths.push(...changes.map(({ path }) => path)), resync: assert.fail },
    { namespace: space.name, watches: () => true },
  );
  t.after(async () => monitor.close());
  monitor.pause();
  await space.nft('add element inet t counted { 192.0.2.1 }');
  monitor.resume();
  await space.nft('add element inet t ports { 1 }');
  await until('the second change', () => paths.length > 0);
  assert.deepEqual(paths, ['inet t ports']);
});
