import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CrashWorld } from './crash-world.js';

test('a snapshot loaded by nft alone is the firewall until the daemon comes, which takes it over', async (t) => {
  const world = await CrashWorld.create(t);
  await world.start();
  await world.rest.ask('POST', '/v1/tables/requests/entries', [
    { address: '192.0.2.1', timeout: '2h' },
    { address: '192.0.2.2', timeout: '10m' },
    { address: '198.51.100.0/24', timeout: 'never', comment: 'a whole "network"'.replaceAll('"', "'") },
    { address: '198.51.100.7', not: true, timeout: 'never' },
    { address: '2001:db8::/32', timeout: '1d' },
  ]);
  const boot = join(world.state, 'boot.nft');
  assert.match(await world.postern('snapshot'), /^\S+boot\.nft: \S+policy\.yaml, 4 entries$/);
  await world.kill();

  await world.enterNamespace();
  await world.space.nft('add table ip other');
  for (let twice = 0; twice < 2; twice++) await world.space.run('nft', '-f', boot);
  const lasting = ['192.0.2.1', '198.51.100.0-198.51.100.6', '198.51.100.8-198.51.100.255', '2001:db8::/32'];
  assert.deepEqual([...(await world.inKernel('requests')).keys()].sort(), lasting);
  const rules = (await world.space.list()).match(/@\S+ .*drop/g);
  assert.ok(rules, await world.space.list());
  assert.equal(rules.length, new Set(rules).size, 'no rule is there twice');
  assert.match(await world.space.list(), /table ip other/);

  await world.start();
  const [inKernel, shown] = [await world.inKernel('requests'), await world.shown('requests')];
  assert.deepEqual([...shown.keys()], ['192.0.2.1', '192.0.2.2', '198.51.100.0/24', '198.51.100.7', '2001:db8::/32']);
  assert.deepEqual([...inKernel.keys()].sort(), ['192.0.2.1', '192.0.2.2', ...lasting.slice(1)]);
  for (const address of ['192.0.2.1', '192.0.2.2', '2001:db8::/32']) {
    assert.ok(Math.abs(inKernel.get(address)! - shown.get(address)!) <= 3, `${address}: ${inKernel.get(address)}`);
  }
  assert.equal(inKernel.get('198.51.100.8-198.51.100.255'), undefined);
  assert.match(await world.space.list(), /table ip other/);
});
