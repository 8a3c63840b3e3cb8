import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPosternError, PosternError } from '../src/errors.js';

class Refusal extends PosternError {}

test('an error of ours is known wherever its class was loaded, a subclass only by itself', async () => {
  const again = (await import(
    `${new URL('../src/errors.js', import.meta.url)}?again`
  )) as typeof import('../src/errors.js');
  assert.notEqual(again.PosternError, PosternError);
  const elsewhere = new again.PosternError('busy', 'made elsewhere');
  assert.equal(asPosternError(elsewhere), elsewhere);
  assert.ok(new Refusal('kernel', 'no') instanceof PosternError);
  assert.ok(new Refusal('kernel', 'no') instanceof Refusal);
  assert.ok(!(new PosternError('kernel', 'no') instanceof Refusal));
  assert.ok(!(elsewhere instanceof Refusal));
});

test('whatever else was thrown is a defect, with its message', () => {
  for (const thrown of [new TypeError('odd'), 'odd', undefined, null, { code: 'busy' }]) {
    assert.equal(asPosternError(thrown).code, 'internal');
  }
});
