/**
 * kill -9 at random moments under load, again and again: what was acknowledged is in store and kernel afterwards, what was
 * not is whole or gone, and no datagram that was taken is taken again. Every second time the kernel has lost its rules,
 * every third time it is another namespace, as after a reboot.
 */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Scope, until } from '../namespace.js';
import { type Contents, CrashWorld } from './crash-world.js';
import { addDatagrams, RequestLoad } from './load.js';

export interface RoundsOptions {
  readonly rounds: number;
  /** Offered: half of them as datagrams, half as entries of requests. */
  readonly perSecond: number;
}

export interface Round {
  readonly number: number;
  /** Updates that were on the disk or answered, for each second of both loads together. */
  readonly perSecond: number;
  readonly text: string;
}

/** Clocks are read at different moments on both sides, and nft prints whole seconds. */
const toleranceS = 3;
const afterwards = ['the kernel keeps all', 'the ruleset is flushed', 'the namespace is new'] as const;
const shortestLifeMs = 300;
const longestLifeMs = 3_500;
/** So long the sender must have something to send: until the first ones have come, too. */
const sendingMs = longestLifeMs + 2_500;
const replaysPerSecond = 40_000;

const keys = (contents: Contents) => new Set(contents.keys());

/** Yields each round when it is over. @throws AssertionError when something is lost, half there, or taken twice. */
export async function* killRounds(scope: Scope, { rounds, perSecond }: RoundsOptions): AsyncGenerator<Round> {
  const world = await CrashWorld.create(scope);
  await world.start();
  for (let number = 1; number <= rounds; number++) {
    try {
      yield await killRound(world, number, perSecond);
    } catch (error) {
      world.checkAlive();
      throw error;
    }
  }
}

async function killRound(world: CrashWorld, number: number, wanted: number): Promise<Round> {
  const next = afterwards[number % afterwards.length]!;
  const load = new RequestLoad(world.rest, number);
  await load.prepare();
  await world.rest.ask('POST', '/v1/tables/datagrams/flush');
  const datagramsPerSecond = wanted / 2;
  const most = Math.ceil((datagramsPerSecond * sendingMs) / 1_000);
  const datagrams = addDatagrams(world.key, most, Math.floor(Date.now() / 1_000));

  const stopSending = await world.sendDatagrams(datagrams, datagramsPerSecond);
  let before = 0;
  const haveCome = async () => {
    before = (await world.datagramCounts()).added ?? 0;
    return before > 0;
  };
  await until('datagrams come', haveCome, 20_000);
  const begun = performance.now();
  load.start(wanted / 2);
  await sleep(shortestLifeMs + Math.random() * (longestLifeMs - shortestLifeMs));
  await world.kill();
  const lifeMs = performance.now() - begun;
  await Promise.all([stopSending(), load.stop()]);

  // Nothing took effect before it was on the disk.
  const [left, kept] = [await world.inKernel('datagrams'), world.onDisk()('datagrams')];
  const early = [...left.keys()].filter((address) => !kept.has(address));
  assert.deepEqual(early, [], 'in the kernel and not on the disk');

  if (next === 'the ruleset is flushed') await world.space.nft('flush ruleset');
  if (next === 'the namespace is new') await world.enterNamespace();
  const readyMs = await world.start();
  await checkTables(world, load, left);

  const banned = [...(await world.shown('datagrams')).keys()];
  const replays = await replay(world, datagrams, banned);
  const rate = Math.round(((kept.size - before + load.answered) / lifeMs) * 1_000);
  const text =
    `round ${number}: killed after ${Math.round(lifeMs)} ms under ${rate} updates/s (${kept.size} datagrams, ${load.answered} ` +
    `entries of ${load.batches} requests, ${load.versions} whole tables); then ${next}: ready in ${Math.round(readyMs)} ms, ` +
    `${banned.length} datagrams in force, ${replays} replays refused`;
  return { number, perSecond: rate, text };
}

async function checkTables(world: CrashWorld, load: RequestLoad, left: Contents): Promise<void> {
  // Nothing changes any more: all three are read beside each other, the disk once for all tables.
  const tables = ['datagrams', 'requests', 'whole'];
  const begun = performance.now();
  const reading = Promise.all(
    tables.map(async (table) => Promise.all([table, world.inKernel(table), world.shown(table)])),
  );
  const onDisk = world.onDisk();
  for (const [table, inKernel, shown] of await reading) {
    assertSame(inKernel, shown, begun, `${table} in kernel and API`);
    assertSame(onDisk(table), shown, begun, `${table} on disk and in API`);
    if (table === 'datagrams') {
      const gone = [...left.keys()].filter((address) => !shown.has(address));
      assert.deepEqual(gone.slice(0, 5), [], 'an effect is gone');
    }
    if (table === 'requests') assert.deepEqual(load.wrongRequests(keys(shown)), []);
    if (table === 'whole') assert.deepEqual(load.wrongWhole(keys(shown)), []);
  }
}

/**
 * Pardons all, and sends the datagrams by which they were banned once more: whoever is pardoned stays pardoned.
 * Answers how many were recognized.
 */
async function replay(world: CrashWorld, datagrams: readonly Buffer[], banned: readonly string[]): Promise<number> {
  await world.rest.ask('POST', '/v1/tables/datagrams/flush');
  await world.deliverDatagrams(datagrams.slice(0, banned.length), replaysPerSecond);
  await world.datagramsSettled();
  const again = await world.shown('datagrams');
  const replayed = banned.filter((address) => again.has(address));
  assert.deepEqual(replayed.slice(0, 5), [], 'taken again');
  const counts = await world.datagramCounts();
  const { replay: refused = 0 } = counts;
  assert.ok(banned.length > 0 && refused > 0, `no replay of ${banned.length} was noticed: ${JSON.stringify(counts)}`);
  return refused;
}

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
