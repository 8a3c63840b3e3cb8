import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PutList } from '../../../src/engine/entries/put-list.js';
import type { Terms } from '../../../src/engine/entries/terms.js';
import { EntryList } from '../../../src/engine/entry-list.js';
import type { Entry } from '../../../src/engine/tables.js';
import { nestedPrefix } from './nested-prefix.js';

const prefix = fc.oneof(nestedPrefix(4), nestedPrefix(6));

test('a list of entries gives them back, those of each family in their order', () => {
  const words = fc.record(
    { not: fc.constant(true), timeoutMs: fc.constantFrom(0, 5, 1e9), comment: fc.constantFrom('', 'a') },
    { requiredKeys: [], noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(prefix, words)), (all) => {
      const entries = all.map(([of, said]): Entry => ({ prefix: of, ...said }));
      const list = new EntryList();
      for (const entry of entries) list.add(entry);
      assert.equal(list.size, entries.length);
      const absent = { not: undefined, timeoutMs: undefined, comment: undefined };
      assert.deepEqual(
        [...list],
        [4, 6].flatMap((family) =>
          entries.filter((entry) => entry.prefix.family === family).map((entry) => ({ ...absent, ...entry })),
        ),
      );
    }),
  );
});

test('a list of puts gives them back, those of each family, the last first', () => {
  const terms = (request: number): Terms => ({
    not: false,
    expires: Number.POSITIVE_INFINITY,
    source: { kind: 'cli', id: 'x' },
    addedAt: 0,
    request,
  });
  const some = fc.constantFrom(undefined, terms(1), terms(2), terms(3));
  fc.assert(
    fc.property(fc.array(fc.record({ prefix, before: some, after: some }, { noNullPrototype: true })), (puts) => {
      const list = new PutList();
      for (const put of puts) list.add(put);
      for (const family of [4, 6] as const) {
        const own = puts.filter((put) => put.prefix.family === family);
        assert.deepEqual([...list.backwards(family)], own.reverse());
      }
    }),
  );
});
