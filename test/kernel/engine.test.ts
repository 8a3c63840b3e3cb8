/** The engine on a real kernel: what others do to it, what packets do to it, and a lot of entries. Needs root. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { EngineEvents } from '../../src/engine/engine.js';
import type { Entry } from '../../src/engine/tables.js';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { entries, entry, source, words } from '../engine/fixture.js';
import { elementsOf, heldIn, setOf } from '../engine/kernel-content.js';
import { type LiveBench, liveBench } from './engine-fixture.js';
import { link, namespace, until } from './namespace.js';
import { quickly } from './quickly.js';

const policy = `
version: 1
interfaces: { wan: wan }
tables:
  ban: { timeout: 1h, size: 200000 }
  spare: { timeout: 1h }
  scanners: { timeout: 1h, entries: [198.51.100.2, 2001:db8:1::2] }
  office: { counters: yes, entries: [198.51.100.0/24, not 198.51.100.9, 2001:db8:1::/64] }
accounts:
  sales: 198.51.100.0/24
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { udp: 7, do: [add source to <scanners> for 1s, drop] }
      - { from: wan:network, do: [account sales] }
      - { from: <office>, do: accept }
  forward:
    policy: drop
    rules:
      - { tcp: 22, do: accept }
`;

async function fresh(
  t: TestContext,
): Promise<
  LiveBench & { firewall: Awaited<ReturnType<typeof namespace>>; outside: Awaited<ReturnType<typeof namespace>> }
> {
  const [outside, firewall] = [await namespace(t), await namespace(t)];
  await link(
    [outside, 'wan', '198.51.100.2/24', '2001:db8:1::2/64'],
    [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64'],
  );
  return Object.assign(await liveBench(t, firewall, policy), { firewall, outside });
}

/** Resolves when the next repair is done; to be called before what makes it necessary. */
function repaired({ engine }: LiveBench): Promise<EngineEvents['drift'][0]> {
  return new Promise((resolve, reject) => {
    // Nothing of the engine keeps a process alive.
    const late = setTimeout(() => reject(new Error('no repair within 10 s')), 10_000);
    engine.events.on('drift', (event) => {
      if (event.what === 'found') return;
      clearTimeout(late);
      if (event.what === 'repaired') resolve(event);
      else reject(new Error(event.detail));
    });
  });
}

/** All that the kernel has of ours, without counts, times and handles. */
async function ruleset(space: Awaited<ReturnType<typeof namespace>>): Promise<string> {
  const listed = await space.list('list', 'table', 'inet', 'postern');
  return (
    listed
      .replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
      .replaceAll(/packets \d+ bytes \d+/g, '')
      .replaceAll(/ (timeout|expires) [\dhmsd]+/g, '')
      // A set that was made anew stands behind the others.
      .split('\n\n')
      .sort()
      .join('\n\n')
  );
}

const ourBans = [
  ...entries('203.0.113.1', '203.0.113.128/25', 'not 203.0.113.200', '2001:db8:9::/48'),
  { ...entry('203.0.113.2', 0), comment: 'for good' },
];

/** Both tables that people fill, as the kernel has them, with the time that is left of each host and prefix. */
async function bans({ kernel, engine }: LiveBench): Promise<string[]> {
  const lines = [...(await elementsOf(kernel, engine, 'ban')), ...(await elementsOf(kernel, engine, 'spare'))];
  return lines.map((line) => line.replace(/ (\d+)s$/, (_, left) => (Number(left) > 3_500 ? ' soon' : ` ${left}s`)));
}

const elements = 'inet postern t_ban_h4 { 203.0.113';
for (const [what, text] of [
  ['the ruleset is flushed', 'flush ruleset'],
  ['our table is deleted', 'delete table inet postern'],
  ['our rules are flushed', 'flush table inet postern'],
  ['a set is deleted', 'delete set inet postern t_spare_h4'],
  ['a set is flushed', 'flush set inet postern t_spare_p4'],
  ['elements are deleted and others added', `delete element ${elements}.1 }; add element ${elements}.77 }`],
] as const) {
  test(`after ${what} everything is back as it was within a second`, async (t) => {
    const made = await fresh(t);
    for (const table of ['ban', 'spare']) await made.engine.tables.add(table, ourBans, source);
    // The device's link-local address comes when its link is there.
    await until('all networks', async () => (await ruleset(made.firewall)).includes('fe80::/64'));
    const before = [await ruleset(made.firewall), ...(await bans(made))];
    await quickly('repair', 1_000, async () => {
      const event = repaired(made);
      await made.firewall.nft(text);
      const startedAt = performance.now();
      await event;
      const tookMs = performance.now() - startedAt;
      assert.deepEqual([await ruleset(made.firewall), ...(await bans(made))], before);
      return tookMs;
    });
    const { drift } = await made.engine.metrics();
    assert.ok(drift.found >= 1 && drift.repaired >= 1 && drift.failed === 0 && drift.repairMs > 0);
  });
}

test('own updates, reloads and expiry are no drift', async (t) => {
  const made = await fresh(t);
  const events: unknown[] = [];
  made.engine.events.on('drift', (event) => events.push(event));
  await made.engine.tables.add('ban', [entry('203.0.113.5', 200), ...ourBans], source);
  await made.engine.policy.apply({ file: 'policy.yaml', text: policy.replace('tcp: 22', 'tcp: 23') });
  await made.engine.tables.replace('ban', entries('203.0.113.6', '203.0.113.0/26'), source);
  await made.engine.tables.flush('ban', source);
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.deepEqual(events, []);
});

test('tables of others are not touched by apply, repair or rollback', async (t) => {
  const made = await fresh(t);
  await made.firewall.nft('table inet theirs {\n chain c {\n  counter\n }\n}\ntable ip postern_not {\n}\n');
  const theirs = () => made.firewall.list('list', 'table', 'inet', 'theirs');
  const before = await theirs();
  await made.engine.policy.apply(
    { file: 'policy.yaml', text: policy.replace('tcp: 22', 'tcp: 23') },
    { confirmWithinMs: 60_000 },
  );
  await made.engine.policy.rollback();
  const event = repaired(made);
  await made.firewall.run('nft', 'flush', 'table', 'inet', 'postern');
  await event;
  assert.equal(await theirs(), before);
  assert.match(await made.firewall.list('list', 'tables'), /table ip postern_not/);
});

test('hosts that packets add are in the table, and entries of the policy stay permanent when packets add them again', async (t) => {
  const made = await fresh(t);
  const send = (address: string) => made.outside.run('sh', '-c', `echo x | nc -u -w1 -q0 ${address} 7`);
  await made.outside.run('ip', 'address', 'add', '198.51.100.3/24', 'dev', 'wan');
  await made.outside.run('sh', '-c', 'echo x | nc -u -w1 -q0 -s 198.51.100.3 198.51.100.1 7');
  await send('198.51.100.1');
  await send('2001:db8:1::1');
  await until('the packet is noticed', async () => {
    const { inTable } = await made.engine.tables.test('scanners', parseAddress('198.51.100.3'));
    return inTable;
  });
  const shown = [...(await made.engine.tables.show('scanners'))];
  assert.deepEqual(words(shown), ['198.51.100.2', '198.51.100.3', '2001:db8:1::2']);
  assert.equal(shown[1]!.source.kind, 'rule');
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'scanners'), [
    'hosts 198.51.100.2',
    'hosts 2001:db8:1::2',
  ]);
  assert.deepEqual(words(await made.engine.tables.show('scanners')), ['198.51.100.2', '2001:db8:1::2']);
});

test('a table with counters shows what each entry has met, and a restart loses no count', async (t) => {
  const made = await fresh(t);
  // Each is a new connection; packets of known ones don't come so far.
  for (let i = 0; i < 3; i++) await made.outside.run('ping', '-q', '-c1', '198.51.100.1');
  const counts = async () =>
    Array.from(await made.engine.tables.show('office'), ({ prefix, not, packets }) => [
      words([{ prefix, not } as never])[0],
      packets,
    ]);
  const [first] = await counts();
  assert.deepEqual(first, ['198.51.100.0/24', 3n]);
  const { entry: decides } = await made.engine.tables.test('office', parseAddress('198.51.100.2'));
  assert.equal(decides!.packets, 3n);
  const sent = async () => {
    const { rows } = await made.engine.accounts.read('sales');
    return rows.map(({ address, source: { packets } }) => [formatAddress(address), packets]);
  };
  const counted = [
    ['198.51.100.1', 0n],
    ['198.51.100.2', 3n],
  ];
  assert.deepEqual(await sent(), counted);
  await made.restart();
  assert.deepEqual((await counts())[0], ['198.51.100.0/24', 3n]);
  assert.deepEqual(await sent(), counted);
});

test('the networks of a device are followed', async (t) => {
  const made = await fresh(t);
  const { sets } = made.engine.policy.current!.plan.manifest;
  const index = sets.findIndex(({ role }) => role.kind === 'interface' && role.family === 4 && role.part === 'network');
  assert.equal((await made.kernel.dump(index)).length, 1);
  await made.firewall.run('ip', 'address', 'add', '192.0.2.1/28', 'dev', 'wan');
  await until('the second network', async () => (await made.kernel.dump(index)).length === 2);
  await made.firewall.run('ip', 'address', 'flush', 'dev', 'wan');
  await until('no network', async () => (await made.kernel.dump(index)).length === 0);
});

test('100,000 entries go in, are shown, replaced and flushed, and the event loop goes on', async (t) => {
  const made = await fresh(t);
  const { tables } = made.engine;
  const hosts = (offset: number): Entry[] =>
    Array.from({ length: 100_000 }, (_, i) => ({
      prefix: { family: 4, value: 0xc6120000n + BigInt(i + offset), length: 32 },
    }));
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const startedAt = performance.now();
    const result = await work();
    clearInterval(beat);
    console.log(`# ${what}: ${Math.round(performance.now() - startedAt)} ms, longest pause ${Math.round(longest)} ms`);
    return result;
  };
  assert.equal((await timed('add 100,000 hosts', () => tables.add('ban', hosts(0), source))).added, 100_000);
  assert.equal((await made.kernel.dump(setOf(made.engine, 'ban', 'hosts', 4))).length, 100_000);
  let shown = 0;
  await timed('show 100,000 hosts', async () => {
    for (const { prefix } of await tables.show('ban')) shown += prefix.length === 32 ? 1 : 0;
  });
  assert.equal(shown, 100_000);
  const replaced = await timed('replace half of them', () => tables.replace('ban', hosts(50_000), source));
  assert.deepEqual([replaced.added, replaced.changed, replaced.deleted], [50_000, 50_000, 50_000]);
  assert.equal((await timed('flush 100,000 hosts', () => tables.flush('ban', source))).deleted, 100_000);
  assert.equal((await made.kernel.dump(setOf(made.engine, 'ban', 'hosts', 4))).length, 0);
  const prefixes: Entry[] = Array.from({ length: 100_000 }, (_, i) => ({
    prefix: parsePrefix(`${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`),
  }));
  assert.equal((await timed('add 100,000 prefixes', () => tables.add('ban', prefixes, source))).added, 100_000);
  assert.equal((await heldIn(made.kernel, made.engine, 'ban', 'prefixes', 4)).length, 100_000);
  await made.restart();
  assert.equal(
    (await made.engine.metrics()).fills.find(({ table, tier }) => table === 'ban' && tier === 'prefixes')!.elements,
    100_000,
  );
});
