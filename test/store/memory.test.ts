import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tableDigest } from '../../src/store/digest.js';
import { MarkSet } from '../../src/store/mark-set.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import type { EntryRegister } from '../../src/store/register.js';
import { clockSlackMs, horizonMs, State } from '../../src/store/state.js';
import { Sweeper } from '../../src/store/sweeper.js';
import { entries, flushes } from './arbitraries.js';
import { add, flush, hour, inForce, open, remove, root, start, TestClock } from './fixtures.js';

test('a mark is remembered once, and forgotten only when both clocks are past its end', () => {
  const steps = fc.array(
    fc.record({
      mark: fc.nat(40),
      until: fc.nat(90_000),
      wall: fc.integer({ min: -20_000, max: 30_000 }),
      steady: fc.nat(30_000),
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const set = new MarkSet();
      const model = new Map<number, { expiresAt: number; keepUntil: number }>();
      let [wall, steady] = [1_000_000, 0];
      for (const one of list) {
        wall += one.wall;
        steady += one.steady;
        set.expire(wall, steady);
        for (const [mark, { expiresAt, keepUntil }] of model) {
          // Marks go by the quarter of a minute: these may be gone, the others must be there.
          if (expiresAt <= wall && keepUntil <= steady) model.delete(mark);
        }
        const mark = Buffer.alloc(16, one.mark);
        const [expiresAt, keepUntil] = [wall + one.until, steady + one.until];
        const isNew = set.add(mark, expiresAt, keepUntil);
        if (model.has(one.mark)) assert.equal(isNew, false);
        if (isNew) model.set(one.mark, { expiresAt, keepUntil });
      }
      assert.ok(set.size >= model.size);
      assert.equal(set.size, [...set.marks()].length);
    }),
  );
});

test('a mark set of 100,000 keeps them all and no other', () => {
  const set = new MarkSet();
  const mark = (n: number) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(n % 7, 0);
    bytes.writeUInt32BE(n, 8);
    return bytes;
  };
  for (let n = 0; n < 100_000; n++) assert.ok(set.add(mark(n), 60_000 + (n % 4) * 15_000, 0));
  for (let n = 0; n < 100_000; n += 97) assert.ok(!set.add(mark(n), 60_000, 0));
  assert.equal(set.size, 100_000);
  set.expire(90_000, 0);
  assert.equal(set.size, 50_000);
  set.expire(1_000_000, 0);
  assert.equal(set.size, 0);
});

test('a table of 20,000 keeps its entries through growth, removal and reuse', () => {
  const state = new State();
  const entry = (n: number, at: number): EntryRegister => ({
    kind: 'entry',
    table: 't',
    prefix: { family: 4, value: BigInt(n), length: 32 },
    op: 'add',
    not: false,
    at,
    node: 'a',
    origin: root,
    comment: `c${n % 10}`,
  });
  for (let n = 0; n < 20_000; n++) state.join(entry(n, 1));
  const table = state.table('t')!;
  assert.equal(
    table.removeWhere((_at, _expiresAt, _deleted) => true, 0, 10_000),
    10_000,
  );
  for (let n = 30_000; n < 40_000; n++) state.join(entry(n, 2));
  assert.equal(table.extent, 20_000, 'places are used again');
  for (const n of [10_000, 19_999, 30_000, 39_999]) assert.equal(table.get(entry(n, 0).prefix)?.comment, `c${n % 10}`);
  for (const n of [0, 9_999, 29_999]) assert.equal(table.get(entry(n, 0).prefix), undefined);
  assert.equal([...table.registers()].length, 20_000);
});

test('expired entries and deletes go an hour after they can matter, deletes of permanent ones after a month', async () => {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock);
  await store.write([
    add('192.0.2.1', start + 1_000),
    add('192.0.2.2', start + 2_000),
    add('192.0.2.3'),
    add('192.0.2.4'),
  ]);
  await store.write([remove('192.0.2.2'), remove('192.0.2.3')]);
  const kept = () => [...store.registers()].length;
  const round = () => {
    for (let i = 0; i < 5; i++) store.tick();
  };
  clock.pass(2_000 + clockSlackMs - 1_000);
  round();
  assert.equal(kept(), 4);
  clock.pass(1_001);
  round();
  assert.equal(kept(), 2);
  clock.pass(horizonMs);
  round();
  assert.equal(kept(), 1);
  assert.deepEqual(inForce(store, clock), ['192.0.2.4']);
  await store.close();
});

test('deletes beyond the bound stand only in the journal, and hold all the same', async () => {
  const clock = new TestClock();
  const disk = memoryDisk();
  const store = await open(disk, clock, { bounds: { maxDead: 10 } });
  const some = Array.from({ length: 100 }, (_, n) => `198.51.100.${n}`);
  await store.write(some.map((prefix) => add(prefix)));
  await store.write(some.map((prefix) => remove(prefix)));
  assert.equal(store.status().tombstones, 10);
  await store.close();
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), []);
  await again.close();
});

test('a store that is full of expired entries makes room for new ones', async () => {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock, { bounds: { maxEntries: 10 } });
  await store.write(Array.from({ length: 10 }, (_, n) => add(`198.51.100.${n}`, start + 1_000)));
  await assert.rejects(store.write([add('192.0.2.1')]), { code: 'full' });
  clock.pass(1_001);
  await store.write([add('192.0.2.1')]);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1']);
  await store.close();
});

test('a sweep of 100,000 goes in steps of at most 2,000', () => {
  const state = new State();
  for (let n = 0; n < 100_000; n++) {
    const prefix = { family: 4, value: BigInt(n), length: 32 } as const;
    state.join({
      kind: 'entry',
      table: 't',
      prefix,
      op: 'add',
      not: false,
      at: 1,
      node: 'a',
      origin: root,
      expiresAt: 1,
    });
  }
  const sweeper = new Sweeper(state, 1_000_000);
  let swept = 0;
  for (let step = 0; step < 60; step++) {
    const count = sweeper.step(hour + 2);
    assert.ok(count <= 2_000, `${count} in one step`);
    swept += count;
  }
  assert.equal(swept, 100_000);
});

test('the digest of a table is the same however its entries came, and differs by any of them', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(entries, entries, flushes), { minLength: 1, maxLength: 25 }), (list) => {
      const digest = (registers: readonly (typeof list)[number][]) => {
        const state = new State();
        for (const register of registers) state.join(register);
        return tableDigest(state.table('spammer')?.registers() ?? [], 'salt', 0);
      };
      const whole = digest(list);
      assert.deepEqual(digest(list.toReversed()), whole);
      assert.equal(whole.buckets.length, 256);
      const state = new State();
      for (const register of list) state.join(register);
      const left = [...(state.table('spammer')?.registers() ?? [])].filter(({ op }) => op === 'add');
      if (left.length > 0) assert.notEqual(tableDigest(left.slice(1), 'salt', 0).sum, whole.sum);
      if (left.length > 0) assert.notEqual(tableDigest(left, 'pepper', 0).sum, whole.sum);
    }),
  );
});

test('the digest leaves out what is deleted, flushed, or expires by the time that both sides agreed on', async () => {
  const clock = new TestClock();
  const store = await open(memoryDisk(), clock);
  await store.write([add('192.0.2.1'), add('192.0.2.2', start + 1_000), add('192.0.2.3'), add('192.0.2.4')]);
  await store.write([remove('192.0.2.3')]);
  const early = store.digest('bruteforce', 's', start);
  const late = store.digest('bruteforce', 's', start + 1_000);
  assert.notEqual(early.sum, late.sum);
  clock.pass(hour);
  assert.deepEqual(store.digest('bruteforce', 's', start), early, 'the local clock is not asked');
  await store.write([flush()]);
  assert.equal(store.digest('bruteforce', 's', start).sum, 0n);
  await store.close();
});
