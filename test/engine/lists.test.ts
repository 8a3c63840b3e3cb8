import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { bench, lists } from './fixture.js';
import { heldIn } from './kernel-content.js';

const policy = `
version: 1
tables:
  feed: { size: 200000, file: feed.txt }
chains:
  input:
    rules:
      - { from: <feed>, do: drop }
`;

/** 26,000 networks and as many hosts: more than goes along with a load. */
function feed(without?: string): string {
  const lines: string[] = [];
  for (let i = 0; i < 26_000; i++) {
    lines.push(
      `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`,
      `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
    );
  }
  return lines.filter((line) => line !== without).join('\n');
}

test('a list too long to go along with the load is in the kernel when the apply returns; a reload sends what changed', async () => {
  lists.set('feed.txt', feed());
  const made = await bench(policy);
  const { engine, kernel } = made;
  const held = async (tier: 'hosts' | 'prefixes') => (await heldIn(kernel, engine, 'feed', tier, 4)).length;
  assert.deepEqual([await held('hosts'), await held('prefixes')], [26_000, 26_000]);

  const change = kernel.change.bind(kernel);
  let sent = 0;
  kernel.change = async (changes, options) => {
    sent += changes.length;
    await change(changes, options);
  };
  assert.equal((await engine.policy.apply()).diff.empty, true);
  assert.equal(sent, 0);
  lists.set('feed.txt', `${feed('10.0.0.7')}\n192.0.2.0/24`);
  const { diff } = await engine.policy.apply();
  assert.deepEqual(
    diff.changes.map(({ action, name, text }) => `${action} ${name} ${text}`),
    ['delete <feed> 10.0.0.7', 'add <feed> 192.0.2.0/24'],
  );
  assert.equal(sent, 2);
  assert.equal((await engine.tables.test('feed', parseAddress('10.0.0.7'))).inTable, false);
  assert.equal((await engine.tables.test('feed', parseAddress('192.0.2.9'))).inTable, true);
});
