/** The engine on a kernel that can do less than this one, as the probe may find it. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { entries, entry, source } from '../engine/fixture.js';
import { elementsOf } from '../engine/kernel-content.js';
import { liveBench } from './engine-fixture.js';
import { link, namespace } from './namespace.js';

const policy = `
version: 1
tables:
  ban: { timeout: 1h }
accounts:
  sales: 198.51.100.0/24
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { do: [account sales] }
`;
const features = { destroy: false, updateTimeout: false, resetElements: false, filterStates: false };

test('without what newer kernels can do bans, accounts and the end of connections are the same', async (t) => {
  const [outside, firewall] = [await namespace(t), await namespace(t)];
  await link([outside, 'out', '198.51.100.2/24'], [firewall, 'wan', '198.51.100.1/24']);
  const { engine, kernel } = await liveBench(t, firewall, policy, {}, { features });

  const bans = async () => (await elementsOf(kernel, engine, 'ban')).map((line) => line.replace(/ \d+s$/, ''));
  await engine.tables.add('ban', entries('203.0.113.1', '203.0.113.128/25'), source);
  await engine.tables.add('ban', [entry('203.0.113.1', 60_000)], source);
  const [renewed] = await elementsOf(kernel, engine, 'ban');
  assert.match(renewed ?? '', /^hosts 203\.0\.113\.1 (60|5\d)s$/);
  await engine.tables.delete('ban', ['203.0.113.1', '203.0.113.9'].map(parsePrefix), source);
  assert.deepEqual(await bans(), ['prefixes 203.0.113.128/25']);

  const counted = async () =>
    (await engine.accounts.flush('sales')).rows.map((row) => [formatAddress(row.address), row.source.packets]);
  const ping = () => outside.run('ping', '-q', '-c1', '198.51.100.1');
  for (let n = 0; n < 3; n++) await ping();
  assert.deepEqual(await counted(), [
    ['198.51.100.1', 0n],
    ['198.51.100.2', 3n],
  ]);
  assert.deepEqual(await counted(), []);
  await ping();
  assert.deepEqual((await counted())[1], ['198.51.100.2', 1n]);

  const flows = async () => (await firewall.run('conntrack', '-L')).stdout.split('\n').filter((line) => line !== '');
  assert.ok((await flows()).length > 0);
  await kernel.killStates(parseAddress('198.51.100.2'));
  assert.deepEqual(await flows(), []);
});
