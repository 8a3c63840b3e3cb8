import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, didYouMean } from '../../src/policy/suggest.js';

const words = ['accept', 'account', 'add', 'block', 'count', 'drop'];

for (const [written, meant] of [
  ['acept', 'accept'],
  ['accpet', 'accept'],
  ['ACCEPT', 'accept'],
  ['acccept', 'accept'],
  ['dorp', 'drop'],
  ['cuont', 'count'],
  ['ad', 'add'],
  ['quux', undefined],
  ['x', undefined],
  ['a'.repeat(100_000), undefined],
] as const) {
  test(`"${written.slice(0, 10)}" was meant to be ${meant ?? 'none of them'}`, () => {
    assert.equal(closest(written, words), meant);
  });
}

test('of words that are equally near the first is meant', () => {
  assert.equal(closest('cat', ['car', 'can']), 'car');
});

test('a suggestion is written as the policy would', () => {
  assert.equal(
    didYouMean('offcie', ['office'], (name) => `<${name}>`),
    'did you mean "<office>"?',
  );
  assert.equal(didYouMean('nothing', ['office']), undefined);
});
