import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { storeAndKernel } from '../../src/store/committer.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { add, inForce, open, remove, TestClock } from './fixtures.js';

const element = (last: number): ElementChange => ({ op: 'add', set: 0, key: Uint8Array.of(192, 0, 2, last) });
const lastByte = (change: ElementChange) => ('key' in change ? change.key[3] : undefined);

async function world() {
  const [disk, clock] = [memoryDisk(), new TestClock()];
  const store = await open(disk, clock);
  const calls: (number | undefined)[][] = [];
  const kernel = {
    refuse: undefined as Error | undefined,
    async change(changes: readonly ElementChange[]) {
      calls.push(changes.map(lastByte));
      await new Promise((resolve) => setImmediate(resolve));
      if (this.refuse !== undefined) throw this.refuse;
    },
  };
  const lines: string[] = [];
  const committer = storeAndKernel({
    store,
    kernel,
    audit: (drafts) => async (error) => {
      lines.push(`${drafts.length} ${error === undefined ? 'done' : (error as PosternError).code}`);
    },
  });
  return { disk, clock, store, kernel, committer, calls, lines };
}

test('the kernel gets a change only when the disk has it', async () => {
  const { disk, committer, calls, store } = await world();
  const durable: number[] = [];
  disk.beforeEffect = (effect) => {
    if (effect === 'append') durable.push(calls.length);
  };
  await committer.commit([add('192.0.2.1')], [element(1)]);
  assert.deepEqual([durable, calls], [[0], [[1]]]);
  await store.close();
});

test('changes reach the kernel in the order of the calls, with and without something for the store', async () => {
  const { committer, calls, store } = await world();
  await Promise.all([
    committer.commit([add('192.0.2.1')], [element(1)]),
    committer.commit([], [element(2)]),
    committer.commit([add('192.0.2.3'), add('192.0.2.4')], [element(3), element(4)]),
    committer.commit([], [element(5)]),
  ]);
  assert.deepEqual(calls, [[1], [2], [3, 4], [5]]);
  await store.close();
});

test('what the kernel refuses is in neither, and the caller gets its error', async () => {
  const { committer, kernel, store, clock, disk, lines } = await world();
  await committer.commit([add('192.0.2.1')], [element(1)]);
  kernel.refuse = new PosternError('full', 'set is full');
  await assert.rejects(committer.commit([remove('192.0.2.1'), add('192.0.2.2')], [element(2)]), { code: 'full' });
  kernel.refuse = undefined;
  assert.deepEqual(inForce(store, clock), ['192.0.2.1']);
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1']);
  assert.deepEqual(lines, ['1 done', '2 full']);
  await again.close();
  await store.close();
});

test('what the store refuses never reaches the kernel, and the next change does', async () => {
  const { committer, store, calls } = await world();
  const bad = committer.commit([add('192.0.2.1', -5)], [element(1)]);
  const good = committer.commit([add('192.0.2.2')], [element(2)]);
  await assert.rejects(bad, { code: 'invalid' });
  await good;
  assert.deepEqual(calls, [[2]]);
  await store.close();
});

test('when the disk fails, a signed change takes no effect: a copy of it could pass after a restart; others do', async () => {
  const { committer, clock, disk, store, calls } = await world();
  const window = store.replayWindow('pftabled');
  disk.beforeEffect = () => {
    throw new Error('no space left');
  };
  const valid = { from: clock.wall - 60_000, until: clock.wall + 60_000 };
  const admitted = window.admit(new Uint8Array(16), valid);
  const signed = committer.commit([add('192.0.2.1')], [element(1)], { signed: true });
  const other = committer.commit([add('192.0.2.2')], [element(2)]);
  await assert.rejects(signed, { code: 'system', message: /no space left/ });
  await assert.rejects(admitted, { code: 'system' });
  await other;
  assert.deepEqual([calls, inForce(store, clock)], [[[2]], ['192.0.2.2']]);
  assert.throws(() => window.take(new Uint8Array(16).fill(1), valid), { code: 'system' });
  await store.close();
});

test('a request of several changes that is not done is taken back at the next start', async () => {
  const { committer, clock, disk, store } = await world();
  const request = committer.request();
  await request.commit([add('192.0.2.1')], [element(1)]);
  await request.commit([add('192.0.2.2')], [element(2)]);
  const before = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(before, clock), []);
  await before.close();
  await request.done();
  const after = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(after, clock), ['192.0.2.1', '192.0.2.2']);
  await after.close();
  await store.close();
});
