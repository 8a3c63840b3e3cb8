import assert from 'node:assert/strict';
import { release } from 'node:os';
import { test } from 'node:test';
import { probeNetlink } from '../../src/kernel/probe-netlink.js';
import { namespace } from './namespace.js';

function atLeast(major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = release().split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

test('the probe tells what this kernel can do, and leaves nothing behind', async (t) => {
  const space = await namespace(t);
  const { filterStates, ...elements } = await probeNetlink(space.name);
  assert.deepEqual(elements, {
    destroy: atLeast(6, 3),
    updateTimeout: atLeast(6, 12),
    resetElements: atLeast(6, 5),
  });
  if (atLeast(6, 12)) assert.equal(filterStates, true);
  assert.equal(await space.list(), '');
});
