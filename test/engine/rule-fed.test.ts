import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { type Bench, bench, entries, source, words } from './fixture.js';
import { elementsOf, setOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  scanners: { timeout: 1h, entries: [192.0.2.1, not 192.0.2.2] }
  goners: { timeout: 1h }
chains:
  input:
    rules:
      - { from: <scanners>, do: drop }
      - { tcp: 23, do: add source to <scanners> }
      - { tcp: 24, do: delete source from <goners> }
`;

/** What a rule does when a packet comes. */
async function packet(
  { kernel, engine }: Bench,
  op: 'add' | 'delete',
  table: string,
  address: string,
  timeoutMs = 3_600_000,
) {
  const set = setOf(engine, table, 'hosts', 4);
  const key = addressBytes(parseAddress(address));
  await kernel.change([op === 'add' ? { op, set, key, timeoutMs } : { op, set, key }]);
}

test('hosts that rules add are shown, tested, counted, replaced and flushed', async () => {
  const made = await bench(policy);
  const { engine, kernel, clock } = made;
  await packet(made, 'add', 'scanners', '198.51.100.5');
  assert.equal((await engine.tables.test('scanners', parseAddress('198.51.100.5'))).inTable, true);
  await packet(made, 'add', 'scanners', '198.51.100.6');
  const shown = [...(await engine.tables.show('scanners'))];
  assert.deepEqual(words(shown), ['192.0.2.1', 'not 192.0.2.2', '198.51.100.5', '198.51.100.6']);
  assert.deepEqual(shown[3]!.source, { kind: 'rule', id: '' });
  assert.equal(shown[3]!.expiresAt, clock.wall() + 3_600_000);
  await packet(made, 'add', 'scanners', '198.51.100.7');
  await clock.pass(6_000);
  assert.equal((await engine.tables.list())[0]!.hosts, 4);
  await packet(made, 'add', 'scanners', '198.51.100.8');
  const replaced = await engine.tables.replace('scanners', entries('198.51.100.6'), source);
  assert.deepEqual([replaced.deleted, replaced.changed], [3, 1]);
  await packet(made, 'add', 'scanners', '198.51.100.9');
  assert.equal((await engine.tables.flush('scanners', source)).deleted, 2);
  assert.deepEqual(await elementsOf(kernel, engine, 'scanners'), ['hosts 192.0.2.1']);
});

test('a host that a rule has added can be deleted by whoever sees it', async () => {
  const made = await bench(policy);
  await packet(made, 'add', 'scanners', '198.51.100.5');
  const count = await made.engine.tables.delete(
    'scanners',
    [parsePrefix('198.51.100.5'), parsePrefix('198.51.100.6')],
    source,
  );
  assert.deepEqual([count.deleted, count.unchanged], [1, 1]);
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'scanners'), ['hosts 192.0.2.1']);
});

test('a timeout that a rule refreshes is refreshed in the table', async () => {
  const made = await bench(policy);
  const { engine, clock } = made;
  await engine.tables.add('scanners', entries('198.51.100.5'), source);
  await clock.pass(3_000_000);
  await packet(made, 'add', 'scanners', '198.51.100.5');
  const [, , refreshed] = [...(await engine.tables.show('scanners'))];
  assert.equal(refreshed!.expiresAt, clock.wall() + 3_600_000);
  assert.equal(refreshed!.source.kind, 'cli');
  await clock.pass(3_000_000);
  assert.equal((await engine.tables.test('scanners', parseAddress('198.51.100.5'))).inTable, true);
});

test('a host that a rule deletes is gone from the table', async () => {
  const made = await bench(policy);
  await made.engine.tables.add('goners', entries('198.51.100.5', '198.51.100.6'), source);
  await packet(made, 'delete', 'goners', '198.51.100.5');
  assert.equal((await made.engine.tables.test('goners', parseAddress('198.51.100.5'))).inTable, false);
  await packet(made, 'delete', 'goners', '198.51.100.6');
  assert.deepEqual(words(await made.engine.tables.show('goners')), []);
});

test('what a rule adds against an exception of the policy is taken out when it is seen', async () => {
  const made = await bench(policy);
  await packet(made, 'add', 'scanners', '192.0.2.2');
  assert.equal((await made.engine.tables.test('scanners', parseAddress('192.0.2.2'))).inTable, false);
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'scanners'), ['hosts 192.0.2.1']);
});

test('a reload keeps what rules have added', async () => {
  const made = await bench(policy);
  await packet(made, 'add', 'scanners', '198.51.100.5');
  await made.engine.policy.apply({ file: 'policy.yaml', text: policy.replace('tcp: 23', 'tcp: 2323') });
  assert.deepEqual(await elementsOf(made.kernel, made.engine, 'scanners'), [
    'hosts 192.0.2.1',
    'hosts 198.51.100.5 3600s',
  ]);
});
