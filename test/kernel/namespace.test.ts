import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { link, namespace } from './namespace.js';

test('two linked namespaces reach each other over IPv4 and IPv6', async (t) => {
  const [left, right] = [await namespace(t), await namespace(t)];
  await link([left, 'a0', '198.51.100.1/24', '2001:db8:1::1/64'], [right, 'b0', '198.51.100.2/24', '2001:db8:1::2/64']);
  await left.run('ping', '-c1', '-W2', '198.51.100.2');
  await right.run('ping', '-c1', '-W2', '2001:db8:1::1');
});

test('a failing command in a namespace throws', async (t) => {
  const space = await namespace(t);
  await assert.rejects(space.run('ip', 'link', 'show', 'nosuch'));
  await assert.rejects(space.nft('add rule inet nosuch nosuch accept'));
});

test('rules stay inside their namespace', async (t) => {
  const [left, right] = [await namespace(t), await namespace(t)];
  await left.nft('add table inet only_left');
  assert.match(await left.list(), /table inet only_left/);
  assert.equal(await right.list(), '');
});

test('a removed namespace is gone and ends what it started', async () => {
  const space = await namespace({ after });
  const sleeper = space.start('sleep', ['600']);
  await space.remove();
  const end = await sleeper;
  assert.equal(end.signal, 'SIGKILL');
  await assert.rejects(space.run('true'));
});
