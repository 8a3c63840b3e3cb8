/** The engine while packets flow: reloads, flush-reads and restarts lose none and count none twice. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { formatAddress } from '../../src/net/address.js';
import { entries, entry, source, words } from '../engine/fixture.js';
import { elementsOf } from '../engine/kernel-content.js';
import { type LiveBench, liveBench } from './engine-fixture.js';
import { link, namespace, until } from './namespace.js';
import { steadyTraffic } from './steady-traffic.js';

const reloads = 50;

const [outside, firewall] = [await namespace({ after }), await namespace({ after })];
await link(
  [outside, 'wan', '198.51.100.2/24', '2001:db8:1::2/64'],
  [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64'],
);

const policy = (variant: number) => `
version: 1
tables:
  ban: { timeout: 1h, entries: [203.0.113.${variant % 200}, 192.0.2.0/24] }
accounts:
  sales: [198.51.100.0/24, 2001:db8:1::/64]
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { tcp: ${1_000 + variant}, do: drop }
      - { udp: 9, name: seen, do: [account sales, drop] }
`;

/** Packets of the rule `seen`. */
async function seen({ kernel, engine }: LiveBench): Promise<bigint> {
  const { objects } = engine.policy.current!.plan.manifest;
  const index = objects.findIndex(({ role }) => role.kind === 'rule' && role.rule === 'seen');
  assert.ok(index >= 0, 'the rule has a counter');
  return (await kernel.object(index)).packets ?? 0n;
}

/** Adds what a reading has counted, by address. */
async function collect({ engine }: LiveBench, flushed: Map<string, bigint>): Promise<void> {
  const { rows, overflow } = await engine.accounts.flush('sales');
  assert.equal(overflow.packets, 0n);
  for (const { address, source: sent } of rows) {
    if (sent.packets === 0n) continue;
    const ip = formatAddress(address);
    flushed.set(ip, (flushed.get(ip) ?? 0n) + sent.packets);
  }
}

test(`${reloads} reloads and flush-reads under traffic, with restarts in between, account for every packet once`, async (t) => {
  const made = await liveBench(t, firewall, policy(0));
  await made.engine.tables.add(
    'ban',
    [...entries('203.0.113.201', '192.0.2.0/25', 'not 192.0.2.9'), entry('203.0.113.202', 0)],
    source,
  );
  const { stop } = await steadyTraffic(outside, '198.51.100.1', '2001:db8:1::1');
  await until('the first packets', async () => (await seen(made)) > 0n);

  const flushed = new Map<string, bigint>();
  for (let variant = 1; variant <= reloads; variant++) {
    const before = await seen(made);
    made.text = policy(variant);
    if (variant % 10 === 0) await made.restart();
    else assert.equal((await made.engine.policy.apply()).diff.empty, false);
    if (variant % 5 === 0) await collect(made, flushed);
    await until('packets beside the reload', async () => (await seen(made)) > before);
  }
  const sent = await stop();
  await until('all packets', async () => (await seen(made)) >= 2n * sent);
  await collect(made, flushed);
  assert.equal(await seen(made), 2n * sent);
  assert.deepEqual(
    flushed,
    new Map([
      ['198.51.100.2', sent],
      ['2001:db8:1::2', sent],
    ]),
  );
  const series = await made.engine.accounts.series();
  assert.ok(series.reduce((sum, { packets }) => sum + packets, 0n) <= 2n * sent);

  const shown = words(await made.engine.tables.show('ban'));
  assert.deepEqual(
    shown.filter((text) => text.startsWith('203.0.113.20')),
    ['203.0.113.201', '203.0.113.202'],
  );
  assert.ok(shown.includes(`203.0.113.${reloads % 200}`));
  assert.equal(shown.filter((text) => text.startsWith('203.0.113.')).length, 3);
  const elements = await elementsOf(made.kernel, made.engine, 'ban');
  assert.ok(elements.includes('hosts 203.0.113.202'), elements.join());
  assert.equal((await made.engine.policy.plan()).empty, true);
});
