import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NodeValues } from '../../../src/engine/entries/node-values.js';
import { PackedTerms } from '../../../src/engine/entries/packed-terms.js';
import { sameTerms, type Terms } from '../../../src/engine/entries/terms.js';

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const terms: fc.Arbitrary<Terms> = fc.letrec<{ terms: Terms }>((tie) => ({
  terms: fc.record(
    {
      not: fc.boolean(),
      expires: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.double({ min: 0, max: 1e12, noNaN: true })),
      timeoutMs: optional(fc.nat()),
      comment: optional(fc.constantFrom('a', 'b')),
      source: fc.record(
        { kind: fc.constantFrom('cli' as const, 'policy' as const), id: fc.constantFrom('x', 'y') },
        { noNullPrototype: true },
      ),
      addedAt: fc.nat(),
      request: fc.nat(),
      beneath: fc.option(tie('terms'), { nil: undefined, depthSize: 'small' }),
    },
    { noNullPrototype: true },
  ),
})).terms;

function assertHolds(values: NodeValues<Terms>, model: ReadonlyMap<number, Terms>): void {
  for (let node = 0; node < 60; node++) {
    const expected = model.get(node);
    assert.equal(values.has(node), expected !== undefined);
    assert.deepEqual(values.get(node), expected);
    assert.ok(sameTerms(values.get(node), expected));
  }
}

test('terms come out as they went in, and a copy stays as it was', () => {
  const change = fc.tuple(fc.nat(50), fc.option(terms));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), fc.array(change, { maxLength: 40 }), (before, after) => {
      const packed = new PackedTerms();
      const model = new Map<number, Terms>();
      const apply = ([node, of]: (typeof before)[number]) => {
        if (of === null) {
          packed.remove(node);
          model.delete(node);
        } else {
          packed.set(node, of);
          model.set(node, of);
        }
      };
      before.forEach(apply);
      const [copy, then] = [packed.copy(), new Map(model)];
      after.forEach(apply);
      assertHolds(packed, model);
      assertHolds(copy, then);
    }),
  );
});

test('terms are the same only when everything they say is', () => {
  fc.assert(
    fc.property(
      terms,
      fc.constantFrom('not', 'expires', 'timeoutMs', 'comment', 'source', 'addedAt', 'request', 'beneath'),
      (one, key) => {
        assert.ok(sameTerms(one, structuredClone(one)));
        const other = {
          ...one,
          [key]: key === 'source' ? { kind: 'rest', id: 'z' } : key === 'beneath' ? { ...one, request: -1 } : 'other',
        };
        assert.ok(!sameTerms(one, other as unknown as Terms), key);
      },
    ),
  );
});
