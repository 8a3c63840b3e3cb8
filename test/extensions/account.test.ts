/** Accounts: sets, their overflow, totals, and how large ones are spread. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { account } from '../../src/extensions/account.js';
import { planOf, rulesOf } from '../compiler/compiled.js';

const plan = (accounts: string, action = 'account a') =>
  planOf(`accounts: { ${accounts} }\nchains:\n  forward: { rules: [{ do: ${action} }] }\n`);

test('each direction of a network has a set, and a counter for what finds it full', () => {
  const compiled = plan('a: 192.0.2.0/24');
  assert.deepEqual(rulesOf(compiled, 'account_a'), [
    'ip saddr 192.0.2.0/24 jump a_a_src4',
    'ip daddr 192.0.2.0/24 jump a_a_dst4',
  ]);
  assert.deepEqual(rulesOf(compiled, 'a_a_dst4'), [
    'update @a_a_dst4 { ip daddr } return',
    'counter name "o_a_a_dst4"',
  ]);
  const set = compiled.manifest.sets.find(({ name }) => name === 'a_a_src4');
  assert.deepEqual(set?.role, { kind: 'account', account: 'a', direction: 'source', family: 4 });
  assert.deepEqual([set?.counter, set?.timeout, set?.size], [true, false, 65_536]);
});

test('several networks and both families are one account', () => {
  assert.deepEqual(rulesOf(plan('a: [192.0.2.0/25, 198.51.100.0/24, 2001:db8::/48]'), 'account_a'), [
    'ip saddr { 192.0.2.0/25, 198.51.100.0/24 } jump a_a_src4',
    'ip daddr { 192.0.2.0/25, 198.51.100.0/24 } jump a_a_dst4',
    'ip6 saddr 2001:db8::/48 jump a_a_src6',
    'ip6 daddr 2001:db8::/48 jump a_a_dst6',
  ]);
});

test('an account of all addresses is one counter', () => {
  assert.deepEqual(rulesOf(plan('a: [0.0.0.0/0, ::/0]'), 'account_a'), [
    'meta nfproto ipv4 counter name "a_a_all4"',
    'meta nfproto ipv6 counter name "a_a_all6"',
  ]);
  assert.equal(plan('a: 0.0.0.0/0').manifest.sets.length, 0);
});

test('a large account is spread over sets that can be read in time', () => {
  const compiled = plan('a: { networks: 10.0.0.0/14, size: 262144 }');
  assert.deepEqual(rulesOf(compiled, 'a_a_src4'), [
    'jhash ip saddr mod 5 seed 0x706f7374 vmap { 0 : goto a_a_src4_0, 1 : goto a_a_src4_1, 2 : goto a_a_src4_2, 3 : goto a_a_src4_3, 4 : goto a_a_src4_4 }',
  ]);
  assert.deepEqual(rulesOf(compiled, 'a_a_src4_3'), [
    'update @a_a_src4_3 { ip saddr } return',
    'counter name "o_a_a_src4_3"',
  ]);
  const shards = compiled.manifest.sets.filter(({ role }) => role.kind === 'account' && role.direction === 'source');
  assert.ok(shards.reduce((sum, { size }) => sum + size, 0) >= 262_144);
});

test('accounts whose names end like the names of sets stay apart', () => {
  const compiled = plan('a: 192.0.2.0/24, a_src4: 198.51.100.0/24', '[account a, account a_src4]');
  assert.equal(rulesOf(compiled, 'account_a_src4')[0], 'ip saddr 198.51.100.0/24 jump a_a_src4_src4');
  assert.equal(rulesOf(compiled, 'a_a_src4')[0], 'update @a_a_src4 { ip saddr } return');
});

test("iptables' ACCOUNT is an account and a rule", () => {
  const [syntax] = account.iptables ?? [];
  const options = new Map([
    ['addr', { negated: false, value: '192.168.1.0/24' }],
    ['tname', { negated: false, value: 'sales' }],
  ]);
  assert.deepEqual(syntax?.read(options), {
    action: 'account sales',
    sections: [['accounts', 'sales', '192.168.1.0/24']],
  });
});
