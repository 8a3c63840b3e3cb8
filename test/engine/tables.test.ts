import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import { parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { bench, entries, entry, source, words } from './fixture.js';
import { elementsOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h, size: 1000 }
  office: { entries: [192.0.2.0/24, not 192.0.2.7, 2001:db8::/32] }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { from: <office>, do: accept }
`;

test('what is added is in the kernel when the call returns, in the tier of its kind', async () => {
  const { engine, kernel, clock } = await bench(policy);
  const count = await engine.tables.add(
    'ban',
    [...entries('198.51.100.1', '198.51.100.0/28', '2001:db8::1'), entry('203.0.113.1', 0)],
    source,
  );
  assert.deepEqual(count, { added: 4, changed: 0, deleted: 0, unchanged: 0, refused: 0 });
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), [
    'hosts 198.51.100.1 3600s',
    'hosts 203.0.113.1',
    'prefixes 198.51.100.0/28 3600s',
    'hosts 2001:db8::1 3600s',
  ]);
  await clock.pass(600_000);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), [
    'hosts 198.51.100.1 3000s',
    'hosts 203.0.113.1',
    'prefixes 198.51.100.0/28 3000s',
    'hosts 2001:db8::1 3000s',
  ]);
});

test('entries of the policy are loaded with the rules, exceptions cut out', async () => {
  const { engine, kernel } = await bench(policy);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), [
    'prefixes 192.0.2.0-192.0.2.6',
    'prefixes 192.0.2.8-192.0.2.255',
    'prefixes 2001:db8::/32',
  ]);
  assert.equal(kernel.loads, 1);
});

test('an entry that is added again has its timeout extended', async () => {
  const { engine, kernel, clock } = await bench(policy);
  await engine.tables.add('ban', entries('198.51.100.1'), source);
  await clock.pass(3_000_000);
  const count = await engine.tables.add('ban', entries('198.51.100.1'), source);
  assert.equal(count.changed, 1);
  await clock.pass(3_000_000);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 198.51.100.1 600s']);
  await clock.pass(700_000);
  assert.deepEqual(words(await engine.tables.show('ban')), []);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), []);
});

test('show is a snapshot in address order, with what each entry says', async () => {
  const { engine, clock } = await bench(policy);
  const at = clock.wall();
  await engine.tables.add('ban', entries('2001:db8::5', '203.0.113.0/24', '198.51.100.9', '203.0.113.77'), source);
  await engine.tables.add('ban', [{ ...entry('198.51.100.0/24', 5_000), comment: 'scan' }], {
    kind: 'scan',
    id: 'psd',
  });
  const shown = await engine.tables.show('ban');
  await engine.tables.flush('ban', source);
  assert.deepEqual(words(shown), ['198.51.100.0/24', '198.51.100.9', '203.0.113.0/24', '203.0.113.77', '2001:db8::5']);
  assert.deepEqual([...shown][0], {
    prefix: parsePrefix('198.51.100.0/24'),
    timeoutMs: 5_000,
    comment: 'scan',
    expiresAt: at + 5_000,
    source: { kind: 'scan', id: 'psd' },
    addedAt: at,
  });
  assert.deepEqual(words(await engine.tables.show('ban')), []);
});

test('the longest prefix decides, and test names it', async () => {
  const { engine, clock } = await bench(policy);
  await engine.tables.add(
    'ban',
    [entry('198.51.100.0/24'), entry('not 198.51.100.64/26', 1_000), entry('198.51.100.70', 500)],
    source,
  );
  const test = async (address: string) => {
    const { inTable, entry: decides } = await engine.tables.test('ban', parseAddress(address));
    return `${inTable} ${decides ? words([decides])[0] : '-'}`;
  };
  assert.equal(await test('198.51.100.1'), 'true 198.51.100.0/24');
  assert.equal(await test('198.51.100.65'), 'false not 198.51.100.64/26');
  assert.equal(await test('198.51.100.70'), 'true 198.51.100.70');
  assert.equal(await test('203.0.113.1'), 'false -');
  await clock.pass(700);
  assert.equal(await test('198.51.100.70'), 'false not 198.51.100.64/26');
  await clock.pass(700);
  assert.equal(await test('198.51.100.70'), 'true 198.51.100.0/24');
});

test('an exception that expires gives its addresses back to the ban around it', async () => {
  const { engine, kernel, clock } = await bench(policy);
  await engine.tables.add('ban', [entry('198.51.100.0/24', 0), entry('not 198.51.100.64/26', 1_000)], source);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['prefixes 198.51.100.0/26', 'prefixes 198.51.100.128/25']);
  await clock.pass(1_200);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['prefixes 198.51.100.0/24']);
});

test('the policy has the last word on its own entries', async () => {
  const { engine } = await bench(policy);
  const added = await engine.tables.add(
    'office',
    entries('192.0.2.7', '192.0.2.0/24', 'not 192.0.2.9', 'not 2001:db8::/32'),
    source,
  );
  assert.deepEqual(added, { added: 1, changed: 0, deleted: 0, unchanged: 1, refused: 2 });
  const deleted = await engine.tables.delete(
    'office',
    [parsePrefix('192.0.2.0/24'), parsePrefix('192.0.2.9'), parsePrefix('192.0.2.10')],
    source,
  );
  assert.deepEqual(deleted, { added: 0, changed: 0, deleted: 1, unchanged: 1, refused: 1 });
  const flushed = await engine.tables.flush('office', source);
  assert.equal(flushed.deleted, 0);
  assert.deepEqual(words(await engine.tables.show('office')), ['192.0.2.0/24', 'not 192.0.2.7', '2001:db8::/32']);
});

test("replace leaves exactly the new entries and the policy's", async () => {
  const { engine, kernel } = await bench(policy);
  await engine.tables.add('office', entries('198.51.100.1', '198.51.100.2', '203.0.113.0/24'), source);
  const count = await engine.tables.replace(
    'office',
    entries('198.51.100.2', '198.51.100.3', '203.0.113.0/25'),
    source,
  );
  assert.deepEqual(count, { added: 2, changed: 0, deleted: 2, unchanged: 1, refused: 0 });
  assert.deepEqual(words(await engine.tables.show('office')), [
    '192.0.2.0/24',
    'not 192.0.2.7',
    '198.51.100.2',
    '198.51.100.3',
    '203.0.113.0/25',
    '2001:db8::/32',
  ]);
  assert.deepEqual(await elementsOf(kernel, engine, 'office'), [
    'hosts 198.51.100.2',
    'hosts 198.51.100.3',
    'prefixes 192.0.2.0-192.0.2.6',
    'prefixes 192.0.2.8-192.0.2.255',
    'prefixes 203.0.113.0/25',
    'prefixes 2001:db8::/32',
  ]);
});

test('a full table takes nothing of a request, and says what to do', async () => {
  const { engine, kernel, clock } = await bench(policy.replace('size: 1000', 'size: 5000'));
  const many = Array.from({ length: 5_001 }, (_, i) => ({
    prefix: { family: 4 as const, value: 0xc6120000n + BigInt(i), length: 32 },
  }));
  await assert.rejects(engine.tables.add('ban', many, source), (error: PosternError) => {
    assert.equal(error.code, 'full');
    assert.match(error.message, /table ban is full: it may hold 5000 hosts of IPv4; .*policy\.yaml:4/);
    return true;
  });
  assert.deepEqual(words(await engine.tables.show('ban')), []);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), []);
  const count = await engine.tables.add('ban', many.slice(1), source);
  assert.equal(count.added, 5_000);
  const { full, fills } = await engine.metrics();
  assert.deepEqual(full, [{ table: 'ban', count: 1 }]);
  assert.deepEqual(fills[0], { table: 'ban', tier: 'hosts', family: 4, elements: 5_000, size: 5_000 });
  await clock.pass(3_600_000);
  assert.equal((await engine.tables.add('ban', many.slice(1), source)).added, 5_000);
});

test('pieces that exceptions make count against the size of the prefixes', async () => {
  const { engine } = await bench(policy.replace('size: 1000', 'size: 3'));
  await engine.tables.add('ban', entries('198.51.100.0/24', 'not 198.51.100.5', 'not 198.51.100.9'), source);
  await assert.rejects(engine.tables.add('ban', entries('not 198.51.100.11'), source), /may hold 3 prefixes of IPv4/);
  assert.equal(words(await engine.tables.show('ban')).length, 3);
});

test('what the kernel refuses is not in the table either', async () => {
  const { engine, kernel } = await bench(policy);
  await engine.tables.add('ban', entries('198.51.100.1'), source);
  kernel.failNext(new PosternError('kernel', 'no memory'));
  await assert.rejects(engine.tables.add('ban', entries('198.51.100.2', 'not 198.51.100.1'), source), /no memory/);
  assert.deepEqual(words(await engine.tables.show('ban')), ['198.51.100.1']);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), ['hosts 198.51.100.1 3600s']);
});

test('a table that does not exist is named, with those that do', async () => {
  const { engine } = await bench(policy);
  await assert.rejects(engine.tables.add('bann', [], source), /there is no table bann; the policy has: ban, office/);
  await assert.rejects(engine.tables.show('bann'), { code: 'not-found' });
});

test('a timeout or a comment that the kernel could not keep is refused', async () => {
  const { engine } = await bench(policy);
  const add = (extra: object) => engine.tables.add('ban', [{ ...entry('198.51.100.1'), ...extra }], source);
  await assert.rejects(add({ timeoutMs: -1 }), { code: 'invalid' });
  await assert.rejects(add({ timeoutMs: 1.5 }), { code: 'invalid' });
  await assert.rejects(add({ comment: 'a"b' }), { code: 'invalid' });
  await assert.rejects(add({ comment: 'x'.repeat(128) }), { code: 'invalid' });
  assert.equal((await add({ comment: 'é'.repeat(63) })).added, 1);
});

test('setting the wall clock ends no ban and prolongs none', async () => {
  const { engine, kernel, clock } = await bench(policy);
  await engine.tables.add('ban', entries('198.51.100.1'), source);
  clock.step(24 * 3_600_000);
  await clock.pass(1_000);
  assert.deepEqual(words(await engine.tables.show('ban')), ['198.51.100.1']);
  assert.equal([...(await engine.tables.show('ban'))][0]!.expiresAt, clock.wall() + 3_599_000);
  clock.step(-48 * 3_600_000);
  await clock.pass(3_600_000);
  assert.deepEqual(words(await engine.tables.show('ban')), []);
  assert.deepEqual(await elementsOf(kernel, engine, 'ban'), []);
});

test('requests take effect in the order of the calls', async () => {
  const { engine } = await bench(policy);
  const [prefix] = [parsePrefix('198.51.100.1')];
  await Promise.all([
    engine.tables.add('ban', entries('198.51.100.1'), source),
    engine.tables.delete('ban', [prefix], source),
    engine.tables.add('ban', entries('not 198.51.100.1'), source),
    engine.tables.delete('ban', [prefix], source),
    engine.tables.add('ban', entries('198.51.100.1', '198.51.100.0/24'), source),
  ]);
  assert.deepEqual(words(await engine.tables.show('ban')), ['198.51.100.0/24', '198.51.100.1']);
});

test('an event tells who changed what, and what has expired', async () => {
  const { engine, clock } = await bench(policy);
  const events: string[] = [];
  engine.events.on('table', ({ table, source: by, count }) =>
    events.push(`${table} ${by?.kind} +${count.added} -${count.deleted}`),
  );
  await engine.tables.add('ban', [entry('198.51.100.1', 1_000), entry('198.51.100.2')], source);
  await clock.pass(1_200);
  assert.deepEqual(events, ['ban cli +2 -0', 'ban undefined +0 -1']);
  const { expired, changes } = await engine.metrics();
  assert.deepEqual(expired, [{ table: 'ban', count: 1 }]);
  assert.deepEqual(changes, [{ table: 'ban', source: 'cli', op: 'add', count: 2 }]);
});
