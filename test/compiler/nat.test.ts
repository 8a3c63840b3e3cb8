/** The list nat: as nat chains. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diagnosticsOf, planOf, rulesOf } from './compiled.js';

const tables = 'tables: { web: { entries: [192.0.2.7, 192.0.2.8] }, listed: {} }\n';

/** The rules that one rule of nat: becomes, by their chain. */
function translated(rule: string): string[] {
  const plan = planOf(`${tables}nat:\n  - ${rule}\n`);
  return plan.ruleset.tables[0]!.chains.filter(({ name }) => name !== 'conntrack').flatMap(({ name }) =>
    rulesOf(plan, name).map((text) => `${name}: ${text}`),
  );
}

const cases: readonly (readonly [rule: string, ...expected: string[]])[] = [
  ['{ out: wan, from: 192.0.2.0/24, do: masquerade }', 'srcnat: oifname "wan" ip saddr 192.0.2.0/24 masquerade'],
  ['{ out: wan, do: masquerade }', 'srcnat: meta nfproto ipv4 oifname "wan" masquerade'],
  ['{ out: wan, family: ipv6, do: masquerade }', 'srcnat: meta nfproto ipv6 oifname "wan" masquerade'],
  [
    '{ out: wan, from: [192.0.2.0/24, 2001:db8::/32], do: masquerade }',
    'srcnat: oifname "wan" ip saddr 192.0.2.0/24 masquerade',
  ],
  [
    '{ out: wan, proto: [tcp, udp], do: masquerade port 20000-60000 }',
    'srcnat: meta nfproto ipv4 oifname "wan" meta l4proto { tcp, udp } masquerade to :20000-60000',
  ],
  [
    '{ out: wan, from: 192.0.2.9, do: snat to 203.0.113.9 }',
    'srcnat: oifname "wan" ip saddr 192.0.2.9 snat ip to 203.0.113.9',
  ],
  [
    '{ out: wan, do: snat to 203.0.113.16/28 sticky }',
    'srcnat: meta nfproto ipv4 oifname "wan" snat ip to 203.0.113.16-203.0.113.31 persistent',
  ],
  ['{ out: wan, do: snat to 2001:db8::9 }', 'srcnat: meta nfproto ipv6 oifname "wan" snat ip6 to 2001:db8::9'],
  [
    '{ in: wan, tcp: 80, do: dnat to 192.0.2.7 }',
    'dstnat: meta nfproto ipv4 iifname "wan" tcp dport 80 dnat ip to 192.0.2.7',
  ],
  [
    '{ in: wan, tcp: 80, do: dnat to 2001:db8::7 port 8080 }',
    'dstnat: meta nfproto ipv6 iifname "wan" tcp dport 80 dnat ip6 to [2001:db8::7]:8080',
  ],
  [
    '{ in: wan, port: 8000-8001, do: dnat to 192.0.2.7 port 2000-2001 }',
    'dstnat: meta nfproto ipv4 iifname "wan" meta l4proto { tcp, udp } th dport 8000-8001 dnat ip to th dport map { 8000 : 192.0.2.7 . 2000, 8001 : 192.0.2.7 . 2001 }',
  ],
  [
    '{ in: wan, tcp: 2000-3000, do: dnat to 192.0.2.7 port 2000-3000 }',
    'dstnat: meta nfproto ipv4 iifname "wan" tcp dport 2000-3000 dnat ip to 192.0.2.7',
  ],
  [
    '{ in: wan, tcp: 80, do: dnat to <web> round-robin }',
    'dstnat: meta nfproto ipv4 iifname "wan" tcp dport 80 dnat ip to numgen inc mod 2 map { 0 : 192.0.2.7, 1 : 192.0.2.8 }',
  ],
  ['{ in: wan, tcp: 25, do: redirect to 8025 }', 'dstnat: iifname "wan" tcp dport 25 redirect to :8025'],
  [
    '{ in: wan, udp: 81-82, do: redirect to 181-182 }',
    'dstnat: iifname "wan" udp dport 81-82 redirect to :udp dport map { 81 : 181, 82 : 182 }',
  ],
  [
    '{ in: wan, tcp: 25, from: <listed>, family: ipv4, do: [redirect to 8025, accept] }',
    'dstnat: iifname "wan" tcp dport 25 ip saddr @t_listed_h4 ct mark set ct mark | 0x80000000 redirect to :8025',
    'dstnat: iifname "wan" tcp dport 25 ip saddr @t_listed_p4 ct mark set ct mark | 0x80000000 redirect to :8025',
  ],
  ['{ out: wan, from: 192.0.2.9, do: accept }', 'srcnat: oifname "wan" ip saddr 192.0.2.9 accept'],
  ['{ in: wan, from: 192.0.2.9, do: accept }', 'dstnat: iifname "wan" ip saddr 192.0.2.9 accept'],
  [
    '{ on: wan, do: map 192.0.2.2 to 203.0.113.2 }',
    'dstnat: iifname "wan" ip daddr 203.0.113.2 dnat ip to ip daddr map { 203.0.113.2 : 192.0.2.2 }',
    'srcnat: oifname "wan" ip saddr 192.0.2.2 snat ip to ip saddr map { 192.0.2.2 : 203.0.113.2 }',
  ],
  [
    '{ on: wan, do: map 2001:db8:1::/64 to 2001:db8:3::/64 }',
    'dstnat: iifname "wan" ip6 daddr 2001:db8:3::/64 dnat ip6 prefix to ip6 daddr map { 2001:db8:3::/64 : 2001:db8:1::/64 }',
    'srcnat: oifname "wan" ip6 saddr 2001:db8:1::/64 snat ip6 prefix to ip6 saddr map { 2001:db8:1::/64 : 2001:db8:3::/64 }',
  ],
];

describe('translations', () => {
  for (const [rule, ...expected] of cases) test(rule, () => assert.deepEqual(translated(rule), expected));
});

test('the mark of accept is set for packets of the right family alone', () => {
  assert.deepEqual(translated('{ in: wan, tcp: 80, do: [dnat to <web> source-hash, accept] }'), [
    'dstnat: meta nfproto ipv4 iifname "wan" tcp dport 80 ct mark set ct mark | 0x80000000 dnat ip to jhash ip saddr mod 2 seed 0x706f7374 map { 0 : 192.0.2.7, 1 : 192.0.2.8 }',
  ]);
});

test('packets whose translation is accepted pass the filter behind the known connections', () => {
  const plan = planOf(`
hygiene: off
nat: [{ in: wan, tcp: 80, do: [dnat to 192.0.2.7, accept] }]
chains:
  forward: { policy: drop, rules: [{ from: 192.0.2.66, do: drop }, { state: [established, related], do: accept }, { do: count }] }
  output: { policy: drop }
`);
  assert.deepEqual(rulesOf(plan, 'forward'), [
    'ip saddr 192.0.2.66 drop',
    'ct state established,related accept',
    'ct mark & 0x80000000 == 0x80000000 accept',
    '',
  ]);
  assert.ok(!rulesOf(plan, 'output').some((text) => text.includes('ct mark')));
});

test('when addresses come in several ways the port still has its protocol in the same rule', () => {
  const plan = planOf(
    `${tables}nat:\n  - { in: wan, tcp: 25, from: [<listed>, 198.51.100.9], to: [<web>, 192.0.2.1], do: redirect to 8025 }\n`,
  );
  const last = plan.ruleset.tables[0]!.chains.find(({ name }) => name === 'dstnat_1_do');
  assert.ok(last);
  assert.deepEqual(rulesOf(plan, 'dstnat_1_do'), ['meta l4proto tcp redirect to :8025']);
});

test('127.0.0.1 as a target is warned of', () => {
  const [warning] = diagnosticsOf('nat:\n  - { in: wan, tcp: 25, do: dnat to 127.0.0.1 port 8025 }\n');
  assert.match(warning ?? '', /^2:\d+ packets from outside reach 127\.0\.0\.0\/8 only if .*route_localnet/);
});
