import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MemoryDisk } from '../../src/store/memory-disk.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import type { Draft, Store } from '../../src/store/store.js';
import { add, flush, inForce, open, remove, TestClock } from './fixtures.js';

/** One step of a workload: one change, or a request of several. */
type Step = readonly Draft[] | readonly (readonly Draft[])[];

const isRequest = (step: Step): step is readonly (readonly Draft[])[] => Array.isArray(step[0]);

const draft = fc.oneof(
  { weight: 6, arbitrary: fc.nat(9).map((n) => add(`192.0.2.${n}`)) },
  { weight: 3, arbitrary: fc.nat(9).map((n) => remove(`192.0.2.${n}`)) },
  { weight: 1, arbitrary: fc.constant(flush()) },
);
const change = fc.array(draft, { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: change },
  { weight: 2, arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }) },
);

/** What is in force after so many steps. */
async function expected(steps: readonly Step[]): Promise<string[][]> {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock);
  const states = [inForce(store, clock)];
  for (const one of steps) {
    await store.write(isRequest(one) ? one.flat() : one);
    states.push(inForce(store, clock));
  }
  await store.close();
  return states;
}

interface Crash {
  readonly disk: MemoryDisk;
  readonly effect: string;
  /** Steps that had been acknowledged. */
  readonly acknowledged: number;
}

/** Runs the steps and takes a copy of the disk before each effect on it, as a crash at that moment leaves it. */
async function crashes(steps: readonly Step[], keep: number): Promise<Crash[]> {
  const disk = memoryDisk();
  const clock = new TestClock();
  const found: Crash[] = [];
  let acknowledged = 0;
  disk.beforeEffect = (effect, name) => {
    found.push({ disk: disk.afterCrash(keep), effect: `${effect} ${name}`, acknowledged });
  };
  const store = await open(disk, clock, { bounds: { journalBytes: 300 } });
  for (const one of steps) {
    await perform(store, one);
    acknowledged++;
    store.tick();
  }
  await store.close();
  return found;
}

async function perform(store: Store, one: Step): Promise<void> {
  if (!isRequest(one)) {
    await store.write(one);
    return;
  }
  const request = store.request();
  for (const part of one) await request.write(part);
  await request.done();
}

test('whenever the machine stops, what was acknowledged is there and the rest is whole or gone', async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.constantFrom(0, 0.5, 1), async (steps, keep) => {
      const states = await expected(steps);
      for (const { disk, effect, acknowledged } of await crashes(steps, keep)) {
        count++;
        const clock = new TestClock();
        const again = await open(disk, clock);
        const state = inForce(again, clock);
        await again.close();
        const possible = states.slice(acknowledged, acknowledged + 2);
        assert.ok(
          possible.some((one) => one.join() === state.join()),
          `before ${effect}: ${state} is neither of ${JSON.stringify(possible)}`,
        );
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(count > 1_000, `only ${count} crashes were tried`);
});

test('a journal cut at any byte gives what its whole records say, and one notice when the cut is inside a record', async () => {
  const steps: Step[] = [
    [add('192.0.2.1')],
    [add('192.0.2.2'), remove('192.0.2.1')],
    [[add('192.0.2.3')], [add('192.0.2.4')]],
  ];
  const states = (await expected(steps)).map(String);
  const disk = memoryDisk();
  const store = await open(disk, new TestClock());
  for (const one of steps) await perform(store, one);
  await store.close();
  const whole = disk.bytes('journal-00000001');
  const seen = new Set<string>();
  for (let length = 0; length <= whole.length; length++) {
    const cut = memoryDisk();
    cut.put('journal-00000001', whole.subarray(0, length));
    const clock = new TestClock();
    const again = await open(cut, clock);
    const state = inForce(again, clock).join();
    assert.ok(states.includes(state), `cut at ${length}: ${state}`);
    seen.add(state);
    assert.ok(again.status().notices.length <= 1);
    await again.close();
  }
  assert.deepEqual([...seen], states);
});

test('a request of several parts that was taken back by hand stays taken back', async () => {
  const disk = memoryDisk();
  const clock = new TestClock();
  const store = await open(disk, clock);
  await store.write([add('192.0.2.1')]);
  const request = store.request();
  const revoke = await request.write([remove('192.0.2.1'), add('192.0.2.2')]);
  await revoke();
  await request.done();
  await store.close();
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1']);
  await again.close();
});

test('what a crash left of a request is taken back for good, and what came later stays', async () => {
  const disk = memoryDisk();
  const clock = new TestClock();
  const store = await open(disk, clock);
  await store.write([add('192.0.2.1'), add('192.0.2.2')]);
  await store.request().write([remove('192.0.2.1'), remove('192.0.2.2'), add('192.0.2.3')]);
  await store.write([add('192.0.2.2', clock.wall + 60_000)]);
  let left = disk.afterCrash(0);
  for (let restart = 0; restart < 3; restart++) {
    const again = await open(left, clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.1', '192.0.2.2 +60s']);
    left = left.afterCrash(0);
    await again.close();
  }
  await store.close();
});

test('requests that crashes left in old journals are not taken back once more', async () => {
  const clock = new TestClock();
  let disk = memoryDisk();
  let store = await open(disk, clock);
  await store.write([add('192.0.2.1', clock.wall + 60_000)]);
  await store.request().write([remove('192.0.2.1')]);
  disk = disk.afterCrash(0);
  store = await open(disk, clock);
  await store.write([remove('192.0.2.1')]);
  await store.request().write([add('192.0.2.1')]);
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), []);
  await again.close();
});

test('two requests on the same entry that a crash left are both taken back', async () => {
  const clock = new TestClock();
  const disk = memoryDisk();
  const store = await open(disk, clock);
  await store.write([add('192.0.2.1', clock.wall + 60_000)]);
  const [a, b] = [store.request(), store.request()];
  await a.write([remove('192.0.2.1')]);
  await b.write([add('192.0.2.1'), add('192.0.2.2')]);
  await a.write([add('192.0.2.2', clock.wall + 90_000)]);
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1 +60s']);
  await again.close();
  await store.close();
});
