import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../src/engine/turns.js';

/** Work that ends when it is told to, and what began and ended so far. */
function bench() {
  const seen: string[] = [];
  const work = (name: string) => {
    const { promise, resolve } = promised();
    return {
      end: resolve,
      run: async () => {
        seen.push(`${name} begins`);
        await promise;
        seen.push(`${name} ends`);
        return name;
      },
    };
  };
  return { seen, work };
}

function promised(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test('work of one key comes in the order of the calls, that of another key does not wait', async () => {
  const { seen, work } = bench();
  const turns = new Turns<string>();
  const [first, second, other] = [work('first'), work('second'), work('other')];
  const ended = [turns.take('a', first.run), turns.take('a', second.run), turns.take('b', other.run)];
  second.end();
  other.end();
  assert.equal(await ended[2], 'other');
  assert.deepEqual(seen, ['first begins', 'other begins', 'other ends']);
  first.end();
  assert.deepEqual(await Promise.all(ended), ['first', 'second', 'other']);
  assert.deepEqual(seen.slice(3), ['first ends', 'second begins', 'second ends']);
});

test('a failure is told to its own caller alone, and the next has its turn', async () => {
  const turns = new Turns<string>();
  const failed = turns.take('a', async () => {
    throw new Error('the disk is full');
  });
  const next = turns.take('a', async () => 'done');
  await assert.rejects(failed, /the disk is full/);
  assert.equal(await next, 'done');
});
