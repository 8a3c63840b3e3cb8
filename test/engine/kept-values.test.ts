import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Kept, KeptValues } from '../../src/engine/kept-values.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { storeAndKernel } from '../../src/store/committer.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import type { Json } from '../../src/store/register.js';
import { hour, open, root, start, TestClock } from '../store/fixtures.js';

const isNumber = (kept: Json): kept is number => typeof kept === 'number';
const element: ElementChange = { op: 'add', set: 0, key: Uint8Array.of(192, 0, 2, 1) };
const listed = (values: KeptValues<number>): (readonly [string, Kept<number>])[] => [...values.all()];

test('a value is there after a restart, until it expires or is deleted', async () => {
  const [disk, clock] = [memoryDisk(), new TestClock()];
  const values = async (on = disk) => {
    const store = await open(on, clock);
    const committer = storeAndKernel({ store, kernel: { change: async () => {} } });
    return new KeptValues('quota', isNumber, {
      committer,
      store,
      clock: { wall: clock.wallMs, steady: clock.steadyMs },
    });
  };
  const before = await values();
  await before.set('guest', 1);
  await before.set('guest', 2);
  await before.set('trial', 3, { expiresAt: start + 1_000 });
  await before.set('left', 4);
  await before.delete('left');
  const after = await values(disk.afterCrash(0));
  assert.deepEqual(listed(after), [
    ['guest', { value: 2 }],
    ['trial', { value: 3, expiresAt: start + 1_000 }],
  ]);
  clock.pass(1_000);
  assert.deepEqual(listed(after), [['guest', { value: 2 }]]);
  assert.equal(after.get('trial'), undefined);
});

test('the kernel changes with the value, or neither does', async () => {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock);
  const seen: (readonly ElementChange[])[] = [];
  let broken = false;
  const kernel = {
    change: async (elements: readonly ElementChange[]) => {
      if (broken) throw new Error('no');
      seen.push(elements);
    },
  };
  const audited: string[] = [];
  const committer = storeAndKernel({
    store,
    kernel,
    audit:
      ([draft]) =>
      async (error) => {
        audited.push(`${draft?.origin?.id} ${error === undefined ? 'done' : 'failed'}`);
      },
  });
  const values = new KeptValues('knock', isNumber, {
    committer,
    store,
    clock: { wall: clock.wallMs, steady: clock.steadyMs },
  });
  await values.set('ssh', 1, { source: root, elements: [element] });
  broken = true;
  await assert.rejects(values.set('ssh', 2, { source: root, elements: [element] }), /no/);
  assert.deepEqual(values.get('ssh'), { value: 1 });
  assert.deepEqual(seen, [[element]]);
  assert.deepEqual(audited, ['root done', 'root failed']);
  await store.close();
});

test('what came from elsewhere and is not of the kind is passed over', async () => {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock);
  const committer = storeAndKernel({ store, kernel: { change: async () => {} } });
  const values = new KeptValues('quota', isNumber, {
    committer,
    store,
    clock: { wall: clock.wallMs, steady: clock.steadyMs },
  });
  for (const [key, value] of Object.entries({ text: 'x', none: null, list: [1], object: { usedBytes: 1 }, good: 7 })) {
    await store.write([{ kind: 'value', space: 'quota', key, value }]);
  }
  assert.deepEqual(listed(values), [['good', { value: 7 }]]);
  assert.equal(values.get('object'), undefined);
  await store.close();
});

test('without a store values live as long as the process', async () => {
  const clock = new TestClock();
  const committer = { commit: async () => {}, request: () => ({ commit: async () => {}, done: async () => {} }) };
  const values = new KeptValues('quota', isNumber, {
    committer,
    store: undefined,
    clock: { wall: clock.wallMs, steady: clock.steadyMs },
  });
  await values.set('guest', 1);
  await values.set('trial', 2, { expiresAt: start + 1_000 });
  await values.set('left', 3);
  await values.delete('left');
  assert.deepEqual(listed(values), [
    ['guest', { value: 1 }],
    ['trial', { value: 2, expiresAt: start + 1_000 }],
  ]);
  clock.step(-hour);
  assert.deepEqual(values.get('trial'), { value: 2, expiresAt: start - hour + 1_000 }, 'the clock was set');
  clock.pass(1_000);
  assert.deepEqual(listed(values), [['guest', { value: 1 }]]);
  assert.equal(values.get('left'), undefined);
});
