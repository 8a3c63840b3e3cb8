import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MemoryDisk, memoryDisk } from '../../src/store/memory-disk.js';
import { clockAtStart, stepBetween, stepped } from '../../src/store/timeline.js';
import { add, hour, inForce, open, start, TestClock } from './fixtures.js';

const reading = (bootId: string, wallMs: number, uptimeMs: number) => ({ bootId, wallMs, uptimeMs });

test('a step is what the wall clock did and the time since boot did not', () => {
  const before = reading('a', start, 1_000);
  assert.equal(stepBetween(before, reading('a', start + 5_000, 6_000)), 0);
  assert.equal(stepBetween(before, reading('a', start + hour + 5_000, 6_000)), hour);
  assert.equal(stepBetween(before, reading('a', start - hour + 5_000, 6_000)), -hour);
  assert.equal(stepBetween(before, reading('a', start + 6_999, 6_000)), 0, 'slewing is no step');
});

test('what a start makes of the clocks', () => {
  const last = reading('a', start, 100_000);
  const cases: [string, Parameters<typeof clockAtStart>, ReturnType<typeof clockAtStart>][] = [
    ['a new store', [undefined, last, 0, undefined], {}],
    ['the same boot', [last, reading('a', start + 9_000, 109_000), 7, undefined], {}],
    [
      'another boot, ten seconds later',
      [last, reading('b', start + 10_000, 5_000), 7, undefined],
      { earlier: { before: 7, gapMs: 10_000 } },
    ],
  ];
  for (const [name, args, expected] of cases) assert.deepEqual(clockAtStart(...args), expected, name);
  assert.deepEqual(clockAtStart(last, reading('a', start + hour, 100_000), 7, undefined).shift, {
    ms: hour,
    before: 0,
    earlierMs: hour,
  });
  assert.deepEqual(clockAtStart(last, reading('b', start - hour, 100_000), 7, undefined).shift, {
    ms: -hour,
    before: 0,
    earlierMs: 0,
  });
});

test('a step back takes back the gap of the last boot for what is older, and no more', () => {
  const earlier = { before: 7, gapMs: hour };
  assert.deepEqual(stepped(-hour / 2, earlier), {
    shift: { ms: -hour / 2, before: 7, earlierMs: 0 },
    earlier: { before: 7, gapMs: hour / 2 },
  });
  assert.deepEqual(stepped(-3 * hour, earlier), {
    shift: { ms: -3 * hour, before: 7, earlierMs: -2 * hour },
    earlier: { before: 7, gapMs: 0 },
  });
  assert.deepEqual(stepped(hour, earlier), { shift: { ms: hour, before: 7, earlierMs: hour }, earlier });
});

/** Bans of 30 minutes, 2 hours and for ever, written at `start`. */
async function banned(clock: TestClock): Promise<MemoryDisk> {
  const disk = memoryDisk();
  const store = await open(disk, clock);
  await store.write([add('192.0.2.1', start + hour / 2), add('192.0.2.2', start + 2 * hour), add('192.0.2.3')]);
  await store.close();
  return disk.afterCrash(0);
}

for (const [direction, step] of [
  ['forward', hour],
  ['back', -hour],
] as const) {
  test(`a clock put ${direction} by an hour between two runs changes nothing of what is left`, async () => {
    const clock = new TestClock();
    let disk = await banned(clock);
    clock.pass(60_000);
    clock.step(step);
    for (let restart = 0; restart < 3; restart++) {
      const store = await open(disk, clock);
      assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3']);
      const notices = store.status().notices.join();
      if (restart === 0) assert.match(notices, /the clock was stepped by -?3600 s; expiries were moved with it/);
      else assert.equal(notices, '');
      disk = disk.afterCrash(0);
      await store.close();
    }
  });

  test(`a clock put ${direction} by an hour while running changes nothing of what is left, then or after a crash`, async () => {
    const clock = new TestClock();
    const disk = await banned(clock);
    const store = await open(disk, clock);
    clock.pass(60_000);
    clock.step(step);
    assert.equal(store.watchClock(), step);
    assert.equal(store.watchClock(), 0);
    assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3']);
    await store.write([add('192.0.2.4', clock.wall + 60_000)]);
    for (const left of [disk.afterCrash(0), disk.afterCrash(1)]) {
      const again = await open(left, clock);
      assert.deepEqual(inForce(again, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3', '192.0.2.4 +60s']);
      await again.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store.close();
    const again = await open(disk.afterCrash(0), clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3', '192.0.2.4 +60s']);
    await again.close();
  });
}

test('a change right after a step has its own time, though nobody looked at the clock', async () => {
  const clock = new TestClock();
  const store = await open(await banned(clock), clock);
  clock.step(hour);
  await store.write([add('192.0.2.4', clock.wall + 60_000)]);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1800s', '192.0.2.2 +7200s', '192.0.2.3', '192.0.2.4 +60s']);
  assert.equal(store.watchClock(), hour);
  await store.close();
});

test('a reboot with the clock in the past: nothing lasts longer than it was meant to', async () => {
  const clock = new TestClock();
  const disk = await banned(clock);
  clock.reboot(-40 * 365 * 24 * hour);
  const store = await open(disk, clock);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1800s', '192.0.2.2 +7200s', '192.0.2.3']);
  assert.match(store.status().notices.join(), /the clock stands \d+ s before its last value/);
  // The right time comes over the network.
  clock.step(40 * 365 * 24 * hour);
  store.watchClock();
  assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1800s', '192.0.2.2 +7200s', '192.0.2.3']);
  await store.close();
});

test('a reboot with the clock an hour ahead: what seemed expired is back when the clock is put right', async () => {
  const clock = new TestClock();
  const disk = await banned(clock);
  clock.reboot(hour + 60_000);
  const store = await open(disk, clock);
  assert.deepEqual(inForce(store, clock), ['192.0.2.2 +3540s', '192.0.2.3']);
  assert.match(store.status().notices.join(), /the clock is 3660 s ahead of its last value/);
  await store.write([add('192.0.2.4', clock.wall + 60_000)]);
  for (let i = 0; i < 10; i++) store.tick();
  clock.step(-hour);
  assert.equal(store.watchClock(), -hour);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3', '192.0.2.4 +60s']);
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1 +1740s', '192.0.2.2 +7140s', '192.0.2.3', '192.0.2.4 +60s']);
  await again.close();
  await store.close();
});

test('a machine that was off for an hour has the bans that are left', async () => {
  const clock = new TestClock();
  const disk = await banned(clock);
  clock.reboot(hour);
  const store = await open(disk, clock);
  assert.deepEqual(inForce(store, clock), ['192.0.2.2 +3600s', '192.0.2.3']);
  await store.close();
});

test('a message is no news though the clock was put forward and back meanwhile', async () => {
  const clock = new TestClock();
  const disk = memoryDisk();
  const store = await open(disk, clock);
  const mark = Buffer.alloc(16, 1);
  const valid = { from: start - 60_000, until: start + 60_000 };
  assert.equal(await store.replayWindow('pftabled').admit(mark, valid), true);
  clock.step(hour);
  store.tick();
  clock.pass(5_000);
  clock.step(-hour);
  assert.equal(await store.replayWindow('pftabled').admit(mark, valid), false);
  clock.step(hour);
  await store.close();
  const again = await open(disk.afterCrash(0), clock);
  again.tick();
  clock.step(-hour);
  assert.equal(await again.replayWindow('pftabled').admit(mark, valid), false);
  await again.close();
});
