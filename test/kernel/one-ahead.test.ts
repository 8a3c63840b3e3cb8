import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { oneAhead } from '../../src/kernel/one-ahead.js';

const part = (set: number): ElementChange[] => [{ op: 'flush', set }];

/** A turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('parts are committed in their order, and each is made while the one before it is under way', async () => {
  const steps: string[] = [];
  function* parts() {
    for (const set of [1, 2, 3, 4]) {
      steps.push(`make ${set}`);
      yield part(set);
    }
  }
  const answers: (() => void)[] = [];
  const done = oneAhead(parts(), ([change]) => {
    steps.push(`commit ${change?.set}`);
    return new Promise((resolve) => answers.push(resolve));
  });
  await turn();
  assert.deepEqual(steps, ['make 1', 'commit 1', 'make 2', 'commit 2']);
  answers.shift()?.();
  await turn();
  assert.deepEqual(steps.slice(4), ['make 3', 'commit 3']);
  for (let answered = 0; answered < 3; answered++) {
    answers.shift()?.();
    await turn();
  }
  await done;
  assert.deepEqual(steps.slice(6), ['make 4', 'commit 4']);
});

test('the first part that fails ends it, and what is under way behind it fails unheard', async () => {
  const committed: number[] = [];
  const failing = oneAhead([part(1), part(2), part(3), part(4)], async ([change]) => {
    committed.push(change!.set);
    await turn();
    if (change!.set >= 2) throw new Error(`no ${change!.set}`);
  });
  await assert.rejects(failing, /no 2/);
  await turn();
  assert.deepEqual(committed, [1, 2, 3]);
});
