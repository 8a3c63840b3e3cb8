import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonBed } from '../daemon-bed.js';
import { CrashWorld } from './crash-world.js';

const ipsetPolicy = `version: 1
tables:
  nets: { backend: ipset, counters: true, entries: [203.0.113.0/24, not 203.0.113.7] }
  mail: { backend: ipset, ipset: { type: "hash:ip,port", tcp: [25, 587], udp: [53] } }
  near: { backend: ipset, ipset: { type: "bitmap:ip", range: 192.0.2.0/24, skbinfo: true, comments: false } }
`;

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

test('a snapshot has the tables that are ipsets, too, which ipset restores and the daemon takes over', async (t) => {
  const bed = await DaemonBed.open(t, ipsetPolicy);
  const daemon = await bed.start('--socket', bed.socket);
  const feed = (table: string, entries: string, timeout: string) =>
    bed.feed(entries, 'table', 'add', table, '-', '--timeout', timeout, '--comment', 'by hand');
  assert.equal((await feed('nets', '198.51.100.0/24 !198.51.100.7 2001:db8:1::/48', 'never')).status, 0);
  assert.equal((await feed('nets', '192.0.2.1', '2h')).status, 0);
  assert.equal((await feed('mail', '192.0.2.9', '1d')).status, 0);
  assert.equal((await feed('near', '192.0.2.77', 'never')).status, 0);
  const save = async () =>
    (await bed.space.run('ipset', 'save')).stdout
      .replaceAll(/ (timeout|hashsize|bucketsize|initval) (0x)?[\da-f]+/g, '')
      .split('\n')
      .sort();
  const before = await save();
  assert.ok(before.some((line) => line.startsWith('add near 192.0.2.77')));
  const { out } = await bed.postern('snapshot', ...bed.places);
  assert.match(out, /boot\.nft and \S+boot\.ipset: /);
  await daemon.kill();

  // As after a reboot.
  await bed.space.run('nft', 'flush', 'ruleset');
  await bed.space.run('ipset', 'destroy');
  for (let twice = 0; twice < 2; twice++) {
    await bed.space.run('ipset', 'restore', '-file', join(bed.state, 'boot.ipset'));
    assert.deepEqual(await save(), before);
  }
  const { stdout } = await bed.space.run('ipset', 'list', 'nets');
  const left = Number(/^192\.0\.2\.1 timeout (\d+)/m.exec(stdout)?.[1]);
  assert.ok(left > 6_600 && left <= 7_200, `${left} s`);

  await bed.space.run('iptables-nft', '-A', 'INPUT', '-m', 'set', '--match-set', 'nets', 'src', '-j', 'DROP');
  const second = await bed.start('--socket', bed.socket);
  assert.deepEqual(await save(), before);
  await second.stop();
});

test('a snapshot of a policy that has no ipsets any more takes their file away', async (t) => {
  const bed = await DaemonBed.open(t, ipsetPolicy);
  const file = join(bed.state, 'boot.ipset');
  for (const policy of [ipsetPolicy, 'version: 1\ntables: { plain: {} }\n']) {
    bed.write(policy);
    const daemon = await bed.start('--socket', bed.socket);
    assert.equal((await bed.postern('snapshot', ...bed.places)).status, 0);
    assert.equal(existsSync(file), policy === ipsetPolicy);
    await daemon.stop();
  }
});
