import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { PftabledReceiver } from '../../src/services/pftabled/receiver.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';
import { encodePftabled, pftabledKey } from '../../src/wire/pftabled.js';
import { type LiveBench, liveBench } from './engine-fixture.js';
import { link, type Namespace, namespace, type Scope, until } from './namespace.js';
import { quickly } from './quickly.js';

const source = { kind: 'cli', id: 'test' } as const;
const tables = `version: 1
tables:
  spammer: { backend: ipset, timeout: 1h, counters: true, entries: [198.51.100.0/24, not 198.51.100.7, 2001:db8::/32] }
`;

async function members(space: Namespace, name: string): Promise<string[]> {
  const { stdout } = await space.run('ipset', 'save', name);
  const lines = stdout.split('\n').filter((line) => line.startsWith('add '));
  return lines.map((line) => line.replace(/^add \S+ /, '').replace(/ (timeout|packets|bytes) \d+/g, '')).sort();
}

async function world(t: Scope, text = tables): Promise<{ space: Namespace; bench: LiveBench }> {
  const space = await namespace(t);
  return { space, bench: await liveBench(t, space, text) };
}

const entry = (text: string, timeoutMs = 3_600_000) => ({ prefix: parsePrefix(text), timeoutMs });

test('a table in an ipset holds what every source adds, with exceptions as nomatch', async (t) => {
  const { space, bench } = await world(t);
  assert.deepEqual(await members(space, 'spammer'), ['198.51.100.0/24', '198.51.100.7 nomatch']);
  assert.deepEqual(await members(space, 'spammer6'), ['2001:db8::/32']);
  const [summary] = await bench.engine.tables.list();
  assert.deepEqual([summary?.backend, summary?.hosts, summary?.prefixes], ['ipset', 1, 2]);

  await bench.engine.tables.add(
    'spammer',
    [entry('192.0.2.1'), entry('192.0.2.0/28'), { ...entry('192.0.2.2'), not: true, comment: 'a friend' }],
    source,
  );
  assert.deepEqual((await members(space, 'spammer')).slice(0, 3), [
    '192.0.2.0/28',
    '192.0.2.1',
    '192.0.2.2 nomatch comment "a friend"',
  ]);
  const inTable = async (text: string) => (await bench.engine.tables.test('spammer', parseAddress(text))).inTable;
  assert.deepEqual(await Promise.all(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.16'].map(inTable)), [
    true,
    false,
    true,
    false,
  ]);
  const count = await bench.engine.tables.delete('spammer', [parsePrefix('192.0.2.2')], source);
  assert.equal(count.deleted, 1);
  await bench.engine.tables.flush('spammer', source);
  assert.deepEqual(await members(space, 'spammer'), ['198.51.100.0/24', '198.51.100.7 nomatch']);
});

test('a table in an ipset is replaced by swap, the policy entries stay', async (t) => {
  const { space, bench } = await world(t);
  await bench.engine.tables.add('spammer', [entry('192.0.2.1')], source);
  const list = Array.from({ length: 3_000 }, (_, index) => entry(`198.18.${index >> 8}.${index & 255}`));
  const count = await bench.engine.tables.replace('spammer', list, source);
  assert.deepEqual([count.added, count.deleted], [3_000, 1]);
  const held = await members(space, 'spammer');
  assert.equal(held.length, 3_002);
  assert.ok(held.includes('198.51.100.7 nomatch') && !held.includes('192.0.2.1'));
  assert.equal((await space.run('ipset', 'list', '-n')).stdout.split('\n').length, 2);
});

test('the other types hold single addresses, and refuse what they can not', async (t) => {
  const { space, bench } = await world(
    t,
    `version: 1
tables:
  hosts: { backend: ipset, ipset: { type: "hash:ip" }, entries: [192.0.2.1] }
  mail: { backend: ipset, ipset: { type: "hash:ip,port", tcp: [25, 587], udp: [53] } }
  near: { backend: ipset, ipset: { type: "bitmap:ip", range: 192.0.2.0/24, skbinfo: true, comments: false } }
`,
  );
  const { tables } = bench.engine;
  for (const name of ['hosts', 'mail', 'near']) await tables.add(name, [entry('192.0.2.9')], source);
  assert.deepEqual(await members(space, 'hosts'), ['192.0.2.1', '192.0.2.9']);
  assert.deepEqual(await members(space, 'mail'), ['192.0.2.9,tcp:25', '192.0.2.9,tcp:587', '192.0.2.9,udp:53']);
  assert.deepEqual(await members(space, 'near'), ['192.0.2.9']);
  assert.match((await space.run('ipset', '-t', 'list', 'near')).stdout, /Type: bitmap:ip\n.*\n.*skbinfo/);
  for (const name of ['hosts', 'mail', 'near']) {
    const refusal = { code: 'invalid', message: /holds single addresses/ };
    await assert.rejects(tables.add(name, [entry('192.0.2.0/28')], source), refusal);
    await assert.rejects(tables.add(name, [{ ...entry('192.0.2.3'), not: true }], source), refusal);
  }
  await assert.rejects(tables.add('near', [entry('198.51.100.1')], source), { code: 'invalid', message: /its range/ });
  await tables.delete('mail', [parsePrefix('192.0.2.9')], source);
  assert.deepEqual(await members(space, 'mail'), []);
});

test('a full table in an ipset says so and stays as it is', async (t) => {
  const { space, bench } = await world(t, 'version: 1\ntables: { tiny: { backend: ipset, size: 2 } }\n');
  const three = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((text) => entry(text));
  await assert.rejects(bench.engine.tables.add('tiny', three, source), { code: 'full' });
  await bench.engine.tables.add('tiny', three.slice(0, 2), source);
  await assert.rejects(bench.engine.tables.replace('tiny', three, source), { code: 'full' });
  assert.deepEqual(await members(space, 'tiny'), ['192.0.2.1', '192.0.2.2']);
});

test('a restart adopts what the ipset holds, with the time that is left', async (t) => {
  const { space, bench } = await world(t);
  await bench.engine.tables.add('spammer', [entry('192.0.2.1', 600_000)], source);
  await space.run('ipset', 'add', 'spammer', '203.0.113.0/24', 'timeout', '500');
  await bench.restart();
  const held = await members(space, 'spammer');
  assert.deepEqual(held, ['192.0.2.1', '198.51.100.0/24', '198.51.100.7 nomatch', '203.0.113.0/24']);
  const { stdout } = await space.run('ipset', 'list', 'spammer');
  const left = Number(/^192\.0\.2\.1 timeout (\d+)/m.exec(stdout)?.[1]);
  assert.ok(left > 400 && left <= 600, `${left} s`);
  assert.equal((await bench.engine.tables.test('spammer', parseAddress('203.0.113.5'))).inTable, true);
});

for (const command of ['flush spammer', 'del spammer 192.0.2.1', 'destroy spammer', 'del spammer 198.51.100.0/24']) {
  test(`after ipset ${command} everything is back within a second, with the time that is left`, async (t) => {
    const { space, bench } = await world(t);
    await bench.engine.tables.add('spammer', [entry('192.0.2.1', 600_000)], source);
    const whole = await members(space, 'spammer');
    const repairs: number[] = [];
    bench.engine.events.on('drift', ({ what, repairMs }) => {
      if (what === 'repaired') repairs.push(repairMs ?? 0);
    });
    await quickly('repair', 1_000, async () => {
      const before = repairs.length;
      await space.run('ipset', ...command.split(' '));
      const startedAt = performance.now();
      await until('the repair', () => repairs.length > before, 20_000);
      const tookMs = performance.now() - startedAt;
      assert.deepEqual(await members(space, 'spammer'), whole);
      return tookMs;
    });
    const left = Number(/^192\.0\.2\.1 timeout (\d+)/m.exec((await space.run('ipset', 'list', 'spammer')).stdout)?.[1]);
    assert.ok(left > 400 && left <= 600, `${left} s`);
    const { drift } = await bench.engine.metrics();
    assert.deepEqual([drift.repaired, drift.failed], [repairs.length, 0]);
  });
}

test('what somebody adds to an ipset goes', async (t) => {
  const { space, bench } = await world(t);
  const whole = await members(space, 'spammer');
  await space.run('ipset', 'add', 'spammer', '203.0.113.9');
  await until('the repair', async () => (await bench.engine.metrics()).drift.repaired > 0, 20_000);
  assert.deepEqual(await members(space, 'spammer'), whole);
});

test('a table moves between backends with what was added to it, and leaves no ipset behind', async (t) => {
  const { space, bench } = await world(t);
  await bench.engine.tables.add('spammer', [entry('192.0.2.1')], source);
  const ipset = bench.text;
  bench.text = ipset.replace('backend: ipset, ', '');
  const { diff } = await bench.engine.policy.apply();
  assert.ok(diff.changes.some(({ action, kind, name }) => `${action} ${kind} ${name}` === 'delete ipset spammer'));
  assert.match(await space.list(), /192\.0\.2\.1/);
  assert.equal((await space.run('ipset', 'list', '-n')).stdout, '');
  bench.text = ipset;
  await bench.engine.policy.apply();
  assert.ok((await members(space, 'spammer')).includes('192.0.2.1'));
  assert.doesNotMatch(await space.list(), /192\.0\.2\.1/);
});

test('a rule of iptables obeys a pftabled client', async (t) => {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link([client, 'wan0', '198.51.100.1/24'], [firewall, 'wan', '198.51.100.254/24']);
  const { engine } = await liveBench(t, firewall, 'version: 1\ntables: { banned: { backend: ipset, timeout: 1h } }\n');
  await firewall.run('iptables-nft', '-A', 'INPUT', '-m', 'set', '--match-set', 'banned', 'src', '-j', 'DROP');
  const now = () => Date.now();
  const key = pftabledKey(Buffer.alloc(20, 7));
  const receiver = new PftabledReceiver(
    { key, tables: new Set(['banned']) },
    { tables: engine.tables, window: new MemoryReplayWindow(now), log: { warn: assert.fail }, now },
  );
  const tell = async (command: number) => {
    const request = { version: 2, command, mask: 32, address: 0xc633_6401, table: 'banned' };
    receiver.receive(encodePftabled({ ...request, timestamp: Math.floor(now() / 1000) }, key), '192.0.2.53');
    await receiver.settled();
  };
  const ping = () => client.run('ping', '-q', '-c1', '-W1', '198.51.100.254');
  await ping();
  await tell(1);
  await assert.rejects(ping());
  await tell(2);
  await ping();
});
