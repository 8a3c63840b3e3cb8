import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { elementsOver } from '../../src/kernel/elements.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import type { NetlinkFeatures } from '../../src/kernel/probe-netlink.js';
import { type ThreadExchange, threadExchange } from '../../src/kernel/thread-exchange.js';
import { type Namespace, namespace, type Scope, until } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

const HOSTS = 0;
const COUNTED = 1;
const FEATURES: NetlinkFeatures = { destroy: true, updateTimeout: true, resetElements: true, filterStates: true };

async function open(
  t: Scope,
): Promise<{ exchange: ThreadExchange; space: Namespace; elements: ReturnType<typeof elementsOver> }> {
  const space = await namespace(t);
  await space.nft(testSets);
  const exchange = threadExchange({ namespace: space.name });
  t.after(() => exchange.close());
  const elements = elementsOver(exchange, FEATURES);
  elements.adopt(testManifest);
  return { exchange, space, elements };
}

function counted(count: number, from = 0): ElementChange[] {
  return Array.from({ length: count }, (_, index) => {
    const value = from + index;
    return { op: 'add', set: COUNTED, key: Uint8Array.of(10, value >> 16, (value >> 8) & 255, value & 255) };
  });
}

/** CPU time that the main thread has used, in milliseconds: what other processes take on a busy machine doesn't count. */
function mainThreadCpuMs(): number {
  const [nanoseconds = '0'] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
  return Number(nanoseconds) / 1e6;
}

test('a long listing leaves the event loop free', async (t) => {
  const { elements } = await open(t);
  for (let part = 0; part < 30; part++) await elements.change(counted(2000, part * 2000));
  await elements.dump(COUNTED);
  const turnsMs: number[] = [];
  let last = mainThreadCpuMs();
  const beat = setInterval(() => {
    const now = mainThreadCpuMs();
    turnsMs.push(now - last);
    last = now;
  }, 1);
  const listed = await elements.dump(COUNTED);
  clearInterval(beat);
  assert.equal(listed.length, 60_000);
  const longestMs = Math.max(...turnsMs);
  assert.ok(longestMs < 20, `one turn of the event loop took ${longestMs} ms`);
});

test('changes go on while a listing runs', async (t) => {
  const { elements } = await open(t);
  for (let part = 0; part < 30; part++) await elements.change(counted(2000, part * 2000));
  let listing = true;
  const listed = elements.dump(COUNTED, { reset: true }).finally(() => {
    listing = false;
  });
  let changes = 0;
  while (listing) {
    await elements.change([{ op: 'add', set: HOSTS, key: Uint8Array.of(192, 0, 2, 1), timeoutMs: 1000 + changes }]);
    changes++;
  }
  assert.equal((await listed).length, 60_000);
  assert.ok(changes > 10, `${changes} changes while the listing ran`);
});

test('a thread that dies mid-batch loses nothing that was acknowledged, and its changes are made by the next', async (t) => {
  const { exchange, elements } = await open(t);
  const acknowledged: number[] = [];
  const all: Promise<unknown>[] = [];
  for (let part = 0; part < 30; part++) {
    all.push(elements.change(counted(2000, part * 2000)).then(() => acknowledged.push(part)));
    if (part % 10 === 5) {
      const before = acknowledged.length;
      await until('an acknowledgement', () => acknowledged.length > before);
      await sleep(part / 10);
      await exchange.kill();
    }
  }
  await Promise.all(all);
  assert.equal(acknowledged.length, 30);
  assert.ok(exchange.deaths >= 2);
  assert.equal((await elements.dump(COUNTED)).length, 60_000);
});

test('a thread that dies leaves no socket behind', async (t) => {
  const { exchange, elements } = await open(t);
  const sockets = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
      } catch {
        return false;
      }
    }).length;
  await elements.change(counted(1));
  await exchange.kill();
  await elements.change(counted(1));
  const before = sockets();
  for (let round = 0; round < 3; round++) {
    const listing = elements.dump(COUNTED).catch(() => {});
    await elements.change(counted(1));
    await exchange.kill();
    await listing;
    await elements.change(counted(1));
  }
  assert.equal(sockets(), before);
});

test('a listing whose thread dies fails as busy, and the next one works', async (t) => {
  const { exchange, elements } = await open(t);
  for (let part = 0; part < 10; part++) await elements.change(counted(2000, part * 2000));
  const listing = elements.dump(COUNTED);
  await exchange.kill();
  await assert.rejects(listing, { code: 'busy' });
  assert.equal((await elements.dump(COUNTED)).length, 20_000);
});

test('close waits for what is under way; afterwards nothing is taken', async (t) => {
  const { exchange, elements, space } = await open(t);
  const changes = elements.change(counted(5000));
  await elements.close();
  await changes;
  assert.match(await space.list('list', 'set', 'inet', 't', 'counted'), /10\.0\.19\.135/);
  await assert.rejects(elements.change(counted(1)), { code: 'busy' });
  assert.equal(exchange.deaths, 0);
});

test('a namespace that vanishes is named once its sockets are gone', async (t) => {
  const { exchange, elements, space } = await open(t);
  await elements.change(counted(1));
  await space.remove();
  // The open socket keeps the namespace alive.
  await elements.change(counted(2));
  await exchange.kill();
  await assert.rejects(elements.change(counted(3)), {
    code: 'not-found',
    message: new RegExp(`network namespace ${space.name}: .*ip netns list`),
  });
});

for (const [what, use] of [
  ['was asked', "await exchange.request(Buffer.from('14000000100a0100010000000000000000000000', 'hex'))"],
  ['was only started', 'exchange.start()'],
] as const) {
  test(`a process ends that forgot to close a thread that ${what}`, async () => {
    const module = new URL('../../src/kernel/thread-exchange.js', import.meta.url).href;
    const script = `import { threadExchange } from '${module}';
      const exchange = threadExchange();
      ${use};
      console.log('done');`;
    const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
    assert.equal(stdout, 'done');
  });
}
