import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineLimit } from '../../src/services/line-limit.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';

test('a mark is admitted once until it expires', async () => {
  const marks = fc.array(fc.tuple(fc.nat(9), fc.nat(20)), { maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(marks, async (list) => {
      let now = 0;
      const window = new MemoryReplayWindow(() => now);
      const seen = new Set<string>();
      for (const [name, forward] of list) {
        now += forward;
        // A message has one expiry, so the name stands for both.
        const expiresAt = 100 + name * 20;
        const isNew = await window.admit(Buffer.alloc(20, name), { from: 0, until: expiresAt });
        if (now < expiresAt) assert.equal(isNew, !seen.has(String(name)));
        seen.add(String(name));
      }
    }),
  );
});

test('what has expired makes room, and at the bound nothing is admitted', async () => {
  let now = 0;
  const window = new MemoryReplayWindow(() => now, 100);
  for (let i = 0; i < 100; i++) assert.ok(await window.admit(randomBytes(20), { from: 0, until: 1000 + (i % 2) }));
  await assert.rejects(window.admit(randomBytes(20), { from: 0, until: 1000 }), { code: 'busy' });
  now = 1000;
  assert.ok(await window.admit(randomBytes(20), { from: 0, until: 2000 }));
  assert.equal(window.count, 51);
});

test('marks are told apart by 16 bytes, wherever they stand in memory', async () => {
  const window = new MemoryReplayWindow(() => 0);
  const bytes = randomBytes(64);
  const valid = { from: 0, until: 1 };
  assert.ok(await window.admit(bytes.subarray(0, 20), valid));
  assert.ok(await window.admit(bytes.subarray(20, 40), valid));
  assert.ok(!(await window.admit(Buffer.from(bytes.subarray(0, 16)), valid)));
});

test('some lines pass at once, then one an interval, which tells how many did not', () => {
  const limit = new LineLimit(2, 1000);
  const passed = [0, 0, 0, 0, 999, 1000, 1001, 5000, 5000, 5000].map((now) => limit.pass(now));
  assert.deepEqual(passed, [0, 0, undefined, undefined, undefined, 3, undefined, 1, 0, undefined]);
});
