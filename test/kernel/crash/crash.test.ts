/**
 * kill -9 at random moments under load, again and again: what was acknowledged is in store and kernel afterwards, what was
 * not is whole or gone, and no datagram that was taken is taken again. Every second time the kernel has lost its rules,
 * every third time it is another namespace, as after a reboot.
 *
 * POSTERN_CRASH_ROUNDS (3) and POSTERN_CRASH_RATE (updates a second, 8000) make it longer and harder.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../namespace.js';
import { type Contents, CrashWorld } from './crash-world.js';
import { addDatagrams, RequestLoad } from './load.js';

const rounds = Number(process.env.POSTERN_CRASH_ROUNDS ?? 3);
const perSecond = Number(process.env.POSTERN_CRASH_RATE ?? 8_000);
/** Clocks are read at different moments on both sides, and nft prints whole seconds. */
const toleranceS = 3;
const afterwards = ['the kernel keeps all', 'the ruleset is flushed', 'the namespace is new'] as const;

const keys = (contents: Contents) => new Set(contents.keys());

/** @param sinceMs when the first of them was read, on the clock of `performance` */
function assertSame(a: Contents, b: Contents, sinceMs: number, what: string): void {
  const apartMost = toleranceS + (performance.now() - sinceMs) / 1_000;
  assert.deepEqual([...keys(a)].filter((address) => !b.has(address)).slice(0, 5), [], `${what}: only in the first`);
  assert.deepEqual([...keys(b)].filter((address) => !a.has(address)).slice(0, 5), [], `${what}: only in the second`);
  const apart = [...a].filter(([address, left]) => {
    const other = b.get(address);
    return left === undefined || other === undefined ? left !== other : Math.abs(left - other) > apartMost;
  });
  assert.deepEqual(apart.slice(0, 5), [], `${what}: another time is left`);
}

test(`${rounds} rounds of kill -9 under ${perSecond} updates/s`, { timeout: rounds * 60_000 }, async (t) => {
  const world = await CrashWorld.create(t);
  await world.start();
  for (let round = 1; round <= rounds; round++) {
    const next = afterwards[round % afterwards.length]!;
    const load = new RequestLoad(world.rest, round);
    await load.prepare();
    await world.rest.ask('POST', '/v1/tables/datagrams/flush');
    const datagrams = addDatagrams(world.key, 120_000, Math.floor(Date.now() / 1_000));

    const stopSending = await world.sendDatagrams(datagrams, perSecond / 2);
    await until('datagrams come', async () => ((await world.datagramCounts()).added ?? 0) > 0, 20_000);
    load.start(perSecond / 2);
    const lifeMs = 300 + Math.random() * 1_700;
    await new Promise((done) => setTimeout(done, lifeMs));
    await world.kill();
    await Promise.all([stopSending(), load.stop()]);

    // Nothing took effect before it was on the disk.
    const left = await world.inKernel('datagrams');
    const kept = world.onDisk('datagrams');
    assert.deepEqual(
      [...left.keys()].filter((address) => !kept.has(address)),
      [],
      'in the kernel and not on the disk',
    );

    if (next === 'the ruleset is flushed') await world.space.nft('flush ruleset');
    if (next === 'the namespace is new') await world.enterNamespace();
    const readyMs = await world.start();

    for (const table of ['datagrams', 'requests', 'whole']) {
      const begun = performance.now();
      const [inKernel, shown] = [await world.inKernel(table), await world.shown(table)];
      assertSame(inKernel, shown, begun, `${table} in kernel and API`);
      assertSame(world.onDisk(table), shown, begun, `${table} on disk and in API`);
      if (table === 'datagrams')
        assert.ok(
          [...left.keys()].every((address) => shown.has(address)),
          'an effect is gone',
        );
      if (table === 'requests') assert.deepEqual(load.wrongRequests(keys(shown)), []);
      if (table === 'whole') assert.deepEqual(load.wrongWhole(keys(shown)), []);
    }

    // Whoever was banned by a datagram and pardoned since stays pardoned, though the datagram comes again.
    const banned = [...(await world.shown('datagrams')).keys()];
    await world.rest.ask('POST', '/v1/tables/datagrams/flush');
    await world.deliverDatagrams(datagrams.slice(0, banned.length), 20_000);
    await new Promise((done) => setTimeout(done, 300));
    const again = await world.shown('datagrams');
    const replayed = banned.filter((address) => again.has(address));
    assert.deepEqual(replayed.slice(0, 5), [], 'taken again');
    const counts = await world.datagramCounts();
    const { replay = 0 } = counts;
    assert.ok(banned.length > 0 && replay > 0, `no replay of ${banned.length} was noticed: ${JSON.stringify(counts)}`);
    t.diagnostic(
      `round ${round}: killed after ${Math.round(lifeMs)} ms with ${banned.length} datagrams and ${load.answered} entries of ` +
        `${load.batches} requests answered, ${load.versions} whole tables; then ${next}: ready in ${Math.round(readyMs)} ms, ` +
        `${replay} replays refused`,
    );
  }
});
