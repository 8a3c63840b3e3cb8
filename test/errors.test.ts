import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPosternError, PosternError } from '../src/errors.js';

test('an error of ours is known wherever its class was loaded', async () => {
  const again = (await import(
    `${new URL('../src/errors.js', import.meta.url)}?again`
  )) as typeof import('../src/errors.js');
  assert.notEqual(again.PosternError, PosternError);
  const elsewhere = new again.PosternError('busy', 'made elsewhere');
  assert.equal(asPosternError(elsewhere), elsewhere);
});

test('whatever else was thrown is a defect, with its message', () => {
  for (const thrown of [new TypeError('odd'), 'odd', undefined, null, { code: 'busy' }]) {
    assert.equal(asPosternError(thrown).code, 'internal');
  }
});
