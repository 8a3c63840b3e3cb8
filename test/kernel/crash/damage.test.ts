/** What becomes of the daemon and of the firewall when the state on the disk is damaged, can't be written, or is newer. */

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { execa } from 'execa';
import { until } from '../namespace.js';
import { CrashWorld } from './crash-world.js';
import { addDatagrams } from './load.js';

interface StoreView {
  readonly mode: string;
  readonly notices: readonly string[];
}

const banned = ['192.0.2.1', '192.0.2.2', '2001:db8::/32'];

/** What is to be done at the end of a test, the last first: what was mounted in a folder goes before the folder. */
const endings = new WeakMap<TestContext, (() => Promise<void>)[]>();

function endingsOf(t: TestContext): (() => Promise<void>)[] {
  const known = endings.get(t);
  if (known !== undefined) return known;
  const list: (() => Promise<void>)[] = [];
  endings.set(t, list);
  t.after(async () => {
    for (const end of list.reverse()) await end();
  });
  return list;
}

/** A killed daemon's folder and kernel, with some bans in both. */
async function killed(t: TestContext): Promise<CrashWorld> {
  const world = await CrashWorld.create({ after: (end) => endingsOf(t).push(end) });
  await world.start();
  for (const address of banned) {
    await world.rest.ask('POST', '/v1/tables/requests/entries', [{ address, timeout: '1h' }]);
  }
  await world.kill();
  return world;
}

const storeOf = async (world: CrashWorld): Promise<StoreView> =>
  (await world.rest.ask<{ store: StoreView }>('GET', '/v1/status')).store;

const shownIn = async (world: CrashWorld) => [...(await world.shown('requests')).keys()].sort();
const kernelIn = async (world: CrashWorld) => [...(await world.inKernel('requests')).keys()].sort();

/** Without the room behind its last record. */
async function lastJournal(world: CrashWorld): Promise<string> {
  const names = await readdir(join(world.state, 'store'));
  const journals = names.filter((name) => /^journal-\d+$/.test(name)).sort();
  const path = join(world.state, 'store', journals.at(-1)!);
  const bytes = await readFile(path);
  await truncate(path, bytes.findLastIndex((byte) => byte !== 0) + 1);
  return path;
}

const damages: Readonly<Record<string, (journal: string) => Promise<void>>> = {
  truncated: async (journal) => truncate(journal, (await readFile(journal)).length - 30),
  garbled: async (journal) => {
    const bytes = await readFile(journal);
    for (let at = bytes.length >> 1; at < bytes.length; at += 7) bytes[at] = bytes[at]! ^ 0x5a;
    await writeFile(journal, bytes);
  },
  'of a newer version': async (journal) => {
    const bytes = await readFile(journal);
    bytes.writeUInt16BE(999, 8);
    await writeFile(journal, bytes);
  },
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a journal that is ${what} is set aside and told, the kernel's bans stay, and the next start is clean`, async (t) => {
    const world = await killed(t);
    const journal = await lastJournal(world);
    await damage(journal);
    await world.start();
    assert.deepEqual(await shownIn(world), banned);
    assert.deepEqual(await kernelIn(world), banned);
    const { mode, notices } = await storeOf(world);
    assert.equal(mode, 'durable');
    assert.ok(
      notices.some((notice) => notice.includes(journal)),
      notices.join('; '),
    );
    const aside = async () =>
      (await readdir(join(world.state, 'store'))).filter((name) => /\.(damaged|newer)-/.test(name));
    await until('the file is set aside', async () => (await aside()).length > 0, 20_000);
    t.diagnostic(notices.join('; '));

    await world.rest.ask('POST', '/v1/tables/requests/entries', [{ address: '192.0.2.3' }]);
    await world.kill();
    await world.enterNamespace();
    await world.start();
    assert.deepEqual((await storeOf(world)).notices, [], 'it is told once');
    assert.deepEqual(await kernelIn(world), ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::/32']);
  });
}

test('an engine.json that is garbled is set aside, and the policy and the bans are in force all the same', async (t) => {
  const world = await killed(t);
  await writeFile(join(world.state, 'engine.json'), '{"format":1,"mani');
  await world.start();
  assert.deepEqual(await kernelIn(world), banned);
  assert.deepEqual(await shownIn(world), banned);
  assert.ok((await readdir(world.state)).includes('engine.json.damaged'));
});

/** The state folder as a small file system of its own. */
async function onSmallDisk(t: TestContext, world: CrashWorld): Promise<void> {
  const { state } = world;
  await rename(state, `${state}.moved`);
  await mkdir(state);
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=700', 'postern-test', state]);
  endingsOf(t).push(async () => {
    await world.kill();
    await execa('umount', [state]);
  });
  await execa('cp', ['-a', `${state}.moved/.`, state]);
}

test('on a full disk bans take effect and signed requests are refused, until there is room again', async (t) => {
  const world = await killed(t);
  await onSmallDisk(t, world);
  await world.start();
  const filler = join(world.state, 'filler');
  await writeFile(filler, Buffer.alloc(4 << 20)).catch(() => {});
  const more: string[] = [];
  await until('there is no room left', async () => {
    const net = `198.18.${more.length / 250}`;
    const some = Array.from({ length: 250 }, (_, n) => ({
      address: `${net}.${n}`,
      comment: `${net}.${n}`.padEnd(100),
    }));
    await world.rest.ask('POST', '/v1/tables/requests/entries', some);
    more.push(...some.map(({ address }) => address));
    return (await storeOf(world)).mode === 'memory';
  });
  assert.match((await storeOf(world)).notices.join(), /can't be written.*no space/i);
  const all = [...banned, ...more].sort();
  assert.deepEqual(await kernelIn(world), all);
  await world.deliverDatagrams(addDatagrams(world.key, 20, Math.floor(Date.now() / 1_000)), 1_000);
  await until('the datagrams are refused', async () => ((await world.datagramCounts()).failed ?? 0) === 20, 20_000);
  assert.equal((await world.inKernel('datagrams')).size, 0, 'none took effect without being remembered');

  await truncate(filler, 0);
  await until('the store is durable again', async () => (await storeOf(world)).mode === 'durable', 30_000);
  await world.kill();
  await world.enterNamespace();
  await world.start();
  assert.deepEqual(await kernelIn(world), all, 'what came meanwhile is kept');
});

test('with a state folder that is read-only the daemon starts, says so, and the firewall goes on', async (t) => {
  const world = await killed(t);
  await onSmallDisk(t, world);
  await execa('mount', ['-o', 'remount,ro', world.state]);
  await world.start();
  const { mode, notices } = await storeOf(world);
  assert.equal(mode, 'memory');
  assert.match(notices.join(), /read-only/i);
  assert.deepEqual(await shownIn(world), banned);
  await world.rest.ask('POST', '/v1/tables/requests/entries', [{ address: '192.0.2.3' }]);
  assert.deepEqual(await kernelIn(world), ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::/32']);
});
