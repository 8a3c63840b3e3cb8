/** gradm: refused at its place, or a constant. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { matchHost } from './match-host.js';
import { udp } from './scratch-world.js';

const host = await matchHost({ after });

test('a rule that asks for RBAC is refused with what can be done', async () => {
  await assert.rejects(host.rules('input', ['gradm: { state: enabled }']), /no stock kernel has the RBAC system/);
  await assert.rejects(host.rules('input', ['gradm: { state: disabled }']), /no stock kernel has the RBAC system/);
  await assert.rejects(host.rules('input', ['gradm: { state: on }']), /"on"/);
});

test('as a constant it is disabled, in both families', async () => {
  const plan = await host.rules('input', [
    'gradm: { state: disabled, constant: true }',
    'gradm: { state: enabled, constant: true }',
    'udp: 999, gradm: { state: disabled, constant: true }',
  ]);
  assert.match(plan.warnings[0]!.message, /never matches/);
  assert.deepEqual(await host.hits(udp('203.0.113.5', '192.0.2.1', 999)), [1, 0, 1]);
  assert.deepEqual(await host.hits(udp('2001:db8:7::5', '2001:db8::1', 998)), [1, 0, 0]);
});
