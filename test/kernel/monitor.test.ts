import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { elementsOver } from '../../src/kernel/elements.js';
import { type ForeignCommit, type Monitor, openMonitor } from '../../src/kernel/monitor.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { type Namespace, namespace, type Scope, until } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

interface Watched {
  readonly space: Namespace;
  readonly monitor: Monitor;
  readonly commits: ForeignCommit[];
  readonly resyncs: string[];
}

async function watch(t: Scope, receiveBufferBytes?: number): Promise<Watched> {
  const space = await namespace(t);
  await space.nft(testSets);
  const commits: ForeignCommit[] = [];
  const resyncs: string[] = [];
  const monitor = openMonitor(
    { commit: (commit) => commits.push(commit), resync: (reason) => resyncs.push(reason) },
    {
      namespace: space.name,
      watches: (table) => table === 'inet t',
      ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
    },
  );
  t.after(async () => monitor.close());
  return { space, monitor, commits, resyncs };
}

function told({ changes }: ForeignCommit): string[] {
  return changes.map(({ op, object, path, count }) => `${op} ${object} ${path} ${count}`).sort();
}

test('what others do to our tables is told by transaction, with who did it', async (t) => {
  const { space, commits } = await watch(t);
  await space.nft('add element inet t hosts { 192.0.2.1, 192.0.2.2 }; add chain inet t c; add rule inet t c drop');
  await space.nft('add table ip other; add chain ip other c');
  await space.nft('delete element inet t hosts { 192.0.2.1 }');
  await space.nft('flush ruleset');
  await until('four transactions', () => commits.length >= 3);
  assert.deepEqual(commits.map(told).slice(0, 2), [
    ['new chain inet t c 1', 'new element inet t hosts 2', 'new rule inet t c 1'],
    ['delete element inet t hosts 1'],
  ]);
  const flushed = told(commits[2] ?? assert.fail());
  assert.ok(flushed.includes('delete table inet t 1'));
  assert.ok(flushed.includes('delete set inet t hosts 1'));
  assert.ok(flushed.includes('delete object inet t seen 1'));
  assert.ok(commits.every(({ processName, processId }) => processName === 'nft' && processId !== process.pid));
  assert.ok((commits[2]?.id ?? 0) > (commits[0]?.id ?? 0));
});

test('a program in a container is told by the process id that the container knows', async (t) => {
  const { space, commits } = await watch(t);
  const script = 'nft add element inet t ports { 1 } & echo $!; wait';
  const { stdout } = await space.run('unshare', '--pid', '--fork', 'sh', '-c', script);
  await until('its transaction', () => commits.length > 0);
  const [commit] = commits;
  assert.equal(commit?.port, Number(stdout));
  assert.notEqual(commit?.processId, commit?.port);
});

test('what this process commits does not come back to it', async (t) => {
  const { space, commits, resyncs } = await watch(t);
  const elements = elementsOver(netfilterExchange(space.name), {
    destroy: true,
    updateTimeout: true,
    resetElements: true,
    filterStates: true,
  });
  t.after(() => elements.close());
  elements.adopt(testManifest);
  for (let host = 1; host < 5; host++) {
    await elements.change([{ op: 'add', set: 0, key: Uint8Array.of(192, 0, 2, host) }]);
  }
  await space.nft('add element inet t ports { 1 }');
  await until('the transaction of nft', () => commits.length > 0);
  assert.deepEqual(commits.map(told), [['new element inet t ports 1']]);
  assert.deepEqual(resyncs, []);
});

test('an overflow is told, and events go on', async (t) => {
  const { space, monitor, commits, resyncs } = await watch(t, 4096);
  const hosts = Array.from({ length: 20_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  await space.nft(`add element inet t counted { ${hosts.join(', ')} }`);
  await until('a resync', () => resyncs.length > 0);
  assert.match(resyncs[0] ?? '', /receive buffer was full/);
  await until('all events', async () => {
    const before = monitor.overflows;
    await sleep(50);
    return monitor.overflows === before;
  });
  commits.splice(0);
  await space.nft('delete element inet t counted { 10.1.0.1 }');
  await until('the next transaction', () => commits.length > 0);
  assert.ok(told(commits.at(-1) ?? assert.fail()).includes('delete element inet t counted 1'));
});

test('a closed monitor tells nothing', async (t) => {
  const { space, monitor, commits } = await watch(t);
  monitor.close();
  monitor.close();
  await space.nft('flush ruleset');
  await sleep(50);
  assert.deepEqual(commits, []);
});
