import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Calendar, tickMs } from '../../../src/engine/entries/calendar.js';

test('nodes come out once, no earlier than they expire and at most a tick later', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.option(fc.nat(3_000))), { maxLength: 100 }),
      fc.array(fc.nat(3_500), { maxLength: 10 }),
      (changes, times) => {
        const calendar = new Calendar();
        const expected = new Map<number, number>();
        for (const [node, at] of changes) {
          const old = expected.get(node);
          if (old !== undefined) calendar.remove(node);
          expected.delete(node);
          if (at === null) continue;
          calendar.add(node, at);
          expected.set(node, at);
        }
        for (const now of times.sort((a, b) => a - b)) {
          const due = [...expected].filter(([, at]) => Math.ceil(at / tickMs) * tickMs <= now).map(([node]) => node);
          const taken = [...calendar.take(now, 3), ...calendar.take(now, 1_000)];
          assert.deepEqual(
            taken.sort((a, b) => a - b),
            due.sort((a, b) => a - b),
          );
          for (const node of taken) expected.delete(node);
        }
        const next = Math.min(...[...expected.values()].map((at) => Math.ceil(at / tickMs) * tickMs));
        assert.equal(calendar.next(), next);
      },
    ),
  );
});

test('what never expires is not noted', () => {
  const calendar = new Calendar();
  calendar.add(1, Number.POSITIVE_INFINITY);
  assert.equal(calendar.next(), Number.POSITIVE_INFINITY);
});
