import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pageBits, Rows, rowMask } from '../../../src/engine/entries/rows.js';

const stride = 3;
const put = (rows: Rows<Uint32Array<ArrayBuffer>>, row: number, value: number) => {
  rows.pages[row >>> pageBits]![(row & rowMask) * stride + 1] = value;
};
const get = (rows: Rows<Uint32Array<ArrayBuffer>>, row: number) =>
  rows.pages[row >>> pageBits]![(row & rowMask) * stride + 1];

test('rows keep what was put into them while others are reserved, and a copy stays as it was', () => {
  const number = fc.oneof(fc.nat(40), fc.nat(5 << pageBits));
  fc.assert(
    fc.property(fc.array(number, { minLength: 1, maxLength: 40 }), fc.nat(), (numbers, seed) => {
      const rows = new Rows(Uint32Array, stride);
      const model = new Map<number, number>();
      for (const row of numbers) {
        rows.reserve(row);
        if (!model.has(row)) assert.equal(get(rows, row), 0, 'a new row is empty');
        put(rows, row, row ^ seed);
        model.set(row, (row ^ seed) >>> 0);
      }
      const copy = rows.copy();
      for (const row of numbers) put(rows, row, 0xffff_ffff);
      for (const [row, value] of model) {
        assert.ok(copy.has(row));
        assert.equal(get(copy, row), value);
      }
      assert.ok(!rows.has((Math.max(...numbers) | rowMask) + 1));
    }),
  );
});
