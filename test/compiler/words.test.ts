/** Each word alone: the rules of an input chain that one rule of the policy becomes. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ruleIn } from './compiled.js';

const cases: Readonly<Record<string, readonly (readonly [rule: string, ...expected: string[]])[]>> = {
  addresses: [
    ['{ from: 192.0.2.1, do: drop }', 'ip saddr 192.0.2.1 drop'],
    ['{ from: [192.0.2.1, 2001:db8::/32], do: drop }', 'ip saddr 192.0.2.1 drop', 'ip6 saddr 2001:db8::/32 drop'],
    [
      '{ to: [192.0.2.0/25, 192.0.2.130-192.0.2.140], do: drop }',
      'ip daddr { 192.0.2.0/25, 192.0.2.130-192.0.2.140 } drop',
    ],
    ['{ from: [192.0.2.0/24, not 192.0.2.7], do: drop }', 'ip saddr 192.0.2.0/24 ip saddr != 192.0.2.7 drop'],
    ['{ from: [not 192.0.2.7, not 192.0.2.9], do: drop }', 'ip saddr != { 192.0.2.7, 192.0.2.9 } drop'],
    ['{ from: 0.0.0.0/0, do: drop }', 'meta nfproto ipv4 drop'],
    ['{ from: any, do: drop }', 'drop'],
    ['{ to: me, do: drop }', 'fib daddr type local drop'],
    ['{ from: not me, do: drop }', 'fib saddr type != local drop'],
    [
      '{ from: [me, 192.0.2.1], do: drop }',
      'ip saddr 192.0.2.1 drop',
      'meta nfproto ipv4 fib saddr type local drop',
      'meta nfproto ipv6 fib saddr type local drop',
    ],
    ['{ from: lan:network, do: drop }', 'ip saddr @i_lan_net4 drop', 'ip6 saddr @i_lan_net6 drop'],
    ['{ to: lan:address, do: drop }', 'ip daddr @i_lan_addr4 drop', 'ip6 daddr @i_lan_addr6 drop'],
    ['{ in: lan, to: lan:address, do: drop }', 'iifname "lan" fib daddr . iif type local drop'],
    [
      '{ in: [lan, wan], to: lan:address, family: ipv4, do: drop }',
      'iifname { "lan", "wan" } ip daddr @i_lan_addr4 drop',
    ],
    ['{ family: ipv6, do: drop }', 'meta nfproto ipv6 drop'],
    ['{ family: ipv6, from: not lan:network, do: drop }', 'ip6 saddr != @i_lan_net6 drop'],
  ],
  interfaces: [
    ['{ in: eth0, do: drop }', 'iifname "eth0" drop'],
    ['{ in: [eth0, ppp*, not ppp7], do: drop }', 'iifname { "eth0", "ppp*" } iifname != "ppp7" drop'],
    ['{ in: any, do: drop }', 'drop'],
    ['{ via: eth0, do: drop }', 'iifname "eth0" drop'],
  ],
  ports: [
    ['{ tcp: 22, do: drop }', 'tcp dport 22 drop'],
    ['{ tcp: any, do: drop }', 'meta l4proto tcp drop'],
    ['{ tcp: [22, 80-90, not 85], do: drop }', 'tcp dport { 22, 80-84, 86-90 } drop'],
    ['{ tcp: [22, 20-25, 24-30], do: drop }', 'tcp dport 20-30 drop'],
    ['{ udp: not domain, do: drop }', 'udp dport != 53 drop'],
    ['{ port: [domain, ntp], do: drop }', 'meta l4proto { tcp, udp } th dport { 53, 123 } drop'],
    ['{ port: any, sport: 1024-65535, do: drop }', 'meta l4proto { tcp, udp } th sport 1024-65535 drop'],
    ['{ tcp: 80, sport: 20, do: drop }', 'tcp dport 80 tcp sport 20 drop'],
    ['{ proto: gre, do: drop }', 'meta l4proto 47 drop'],
    ['{ proto: [tcp, udp], do: drop }', 'meta l4proto { tcp, udp } drop'],
    ['{ proto: not tcp, do: drop }', 'meta l4proto != tcp drop'],
  ],
  flags: [
    ['{ flags: S/SA, do: drop }', 'tcp flags & (syn | ack) == syn drop'],
    ['{ tcp: 22, flags: [A/A, R/R], do: drop }', 'tcp dport 22 tcp flags & (rst | ack) != 0x0 drop'],
    ['{ flags: none/FSRPAU, do: drop }', 'tcp flags & (fin | syn | rst | psh | ack | urg) == 0x0 drop'],
    [
      '{ flags: [S/SA, FPU], do: drop }',
      'tcp flags & (syn | ack) == syn drop',
      'tcp flags & (fin | syn | rst | psh | ack | urg) == fin | psh | urg drop',
    ],
  ],
  'what accept means for TCP': [
    ['{ tcp: 22, do: accept }', 'tcp dport 22 tcp flags & (syn | ack) == syn accept'],
    ['{ tcp: 22, flags: any, do: accept }', 'tcp dport 22 accept'],
    ['{ tcp: 22, flags: S, do: accept }', 'tcp dport 22 tcp flags & (fin | syn | rst | psh | ack | urg) == syn accept'],
    ['{ tcp: 22, state: new, do: accept }', 'ct state new tcp dport 22 accept'],
    ['{ port: 53, do: accept }', 'tcp dport 53 tcp flags & (syn | ack) == syn accept', 'udp dport 53 accept'],
    [
      '{ proto: [tcp, udp, gre], do: accept }',
      'tcp flags & (syn | ack) == syn accept',
      'meta l4proto { udp, 47 } accept',
    ],
    ['{ udp: 53, do: accept }', 'udp dport 53 accept'],
    ['{ from: 192.0.2.1, do: accept }', 'ip saddr 192.0.2.1 accept'],
    ['{ tcp: 22, do: drop }', 'tcp dport 22 drop'],
  ],
  icmp: [
    [
      '{ icmp: any, do: drop }',
      'meta nfproto ipv4 meta l4proto icmp drop',
      'meta nfproto ipv6 meta l4proto ipv6-icmp drop',
    ],
    ['{ icmp: echo-request, do: drop }', 'icmp type echo-request drop', 'icmpv6 type echo-request drop'],
    ['{ icmp: timestamp-request, do: drop }', 'icmp type timestamp-request drop'],
    [
      '{ icmp: too-big, do: drop }',
      'icmp type destination-unreachable icmp code 4 drop',
      'icmpv6 type packet-too-big drop',
    ],
    ['{ icmp: not echo-request, do: drop }', 'icmp type != echo-request drop', 'icmpv6 type != echo-request drop'],
    [
      '{ icmp: not too-big, do: drop }',
      'jump input_1',
      'input_1:',
      'icmp type destination-unreachable icmp code 4 return',
      'icmpv6 type packet-too-big return',
      'meta nfproto ipv4 meta l4proto icmp drop',
      'meta nfproto ipv6 meta l4proto ipv6-icmp drop',
    ],
  ],
  'state and marks': [
    ['{ state: invalid, do: drop }', 'ct state invalid drop'],
    ['{ state: not invalid, do: count }', 'ct state new,established,related,untracked'],
    ['{ state: dnat, do: accept }', 'ct status dnat accept'],
    ['{ state: [new, snat], do: accept }', 'ct state new accept', 'ct status snat accept'],
    ['{ state: [new, not dnat], do: accept }', 'ct state new ct status & dnat == 0x0 accept'],
    ['{ mark: 7, do: drop }', 'meta mark 0x7 drop'],
    ['{ mark: 0x10/0xf0, do: drop }', 'meta mark & 0xf0 == 0x10 drop'],
    ['{ mark: not 0x10/0xf0, do: drop }', 'meta mark & 0xf0 != 0x10 drop'],
  ],
  'short packets': [
    [
      '{ short: true, do: drop }',
      'meta l4proto tcp ip length < 40 drop',
      'meta l4proto udp ip length < 28 drop',
      'meta l4proto tcp ip6 length < 20 drop',
      'meta l4proto udp ip6 length < 8 drop',
    ],
    [
      '{ tcp: 22, short: true, do: drop }',
      'meta l4proto tcp ip length < 40 tcp dport 22 drop',
      'meta l4proto tcp ip6 length < 20 tcp dport 22 drop',
    ],
    ['{ family: ipv6, udp: 53, short: true, do: drop }', 'meta l4proto udp ip6 length < 8 udp dport 53 drop'],
  ],
  verdicts: [
    ['{ do: drop }', 'drop'],
    ['{ do: block }', 'drop'],
    ['{ do: return }', 'return'],
    ['{ do: reject }', 'reject with icmpx type port-unreachable'],
    ['{ tcp: 22, do: reject with tcp-reset }', 'tcp dport 22 reject with tcp reset'],
    ['{ do: reject with host }', 'reject with icmpx type host-unreachable'],
    ['{ do: reject with net }', 'reject with icmpx type no-route'],
    ['{ do: reject with admin }', 'reject with icmpx type admin-prohibited'],
    ['{ do: count }', ''],
  ],
  'marking and logging': [
    ['{ do: mark 0x5 }', 'meta mark set 0x5'],
    ['{ do: mark 0x10/0xf0 }', 'meta mark set meta mark & 0xffffff0f | 0x10'],
    ['{ do: mark connection 0x1/0x1 }', 'ct mark set ct mark | 0x1'],
    ['{ tcp: 22, log: true, do: drop }', 'tcp dport 22 log prefix "input/1" group 5 drop'],
    ['{ tcp: 22, log: { name: ssh, body: 128 }, do: drop }', 'tcp dport 22 log prefix "ssh" group 5 snaplen 128 drop'],
    [
      '{ name: last, log: { name: rest, first: 5 }, do: drop }',
      'goto input_1_do',
      'input_1_do:',
      '',
      'add @log_last_336b { meta mark & 0x0 limit rate 1/week burst 5 packets } log prefix "rest" group 5',
      'drop',
    ],
  ],
};

for (const [about, rules] of Object.entries(cases)) {
  describe(about, () => {
    for (const [rule, ...expected] of rules) {
      test(rule, () => assert.deepEqual(ruleIn('input', rule), expected));
    }
  });
}

test('via in forward is either side, and not via neither', () => {
  assert.deepEqual(ruleIn('forward', '{ via: lan, do: drop }'), ['iifname "lan" drop', 'oifname "lan" drop']);
  assert.deepEqual(ruleIn('forward', '{ via: not lan, do: drop }'), ['iifname != "lan" oifname != "lan" drop']);
  assert.deepEqual(ruleIn('output', '{ via: lan, do: drop }'), ['oifname "lan" drop']);
});

test('an action that goes on acts once on a packet that matches in several ways', () => {
  assert.deepEqual(ruleIn('forward', '{ via: lan, do: count }'), [
    'jump forward_1',
    'forward_1:',
    'iifname "lan" goto forward_1_do',
    'oifname "lan" goto forward_1_do',
    'forward_1_do:',
    '',
  ]);
});

test('only output knows who sends', () => {
  assert.deepEqual(ruleIn('output', '{ user: [not 0, not 1000-1999], do: drop }'), [
    'meta skuid != { 0, 1000-1999 } drop',
  ]);
  assert.deepEqual(ruleIn('output', '{ group: [5, 7-9], do: drop }'), ['meta skgid { 5, 7-9 } drop']);
});

test('where nothing accepts known connections accept means every packet', () => {
  assert.deepEqual(ruleIn('prerouting', '{ tcp: 22, do: accept }'), ['tcp dport 22 accept']);
});

test('a limit for all is an object, one for each source a set, and both outlive a reload', () => {
  assert.deepEqual(ruleIn('input', '{ name: ping, icmp: echo-request, family: ipv4, limit: 10/1s, do: accept }'), [
    'icmp type echo-request limit name "limit_ping" accept',
  ]);
  assert.deepEqual(ruleIn('input', '{ name: dns, udp: 53, limit: 15/5s per source, do: accept }'), [
    'udp dport 53 jump input_1',
    'input_1:',
    'update @limit_dns_4_77dd { ip saddr timeout 5s limit rate 3/second burst 15 packets } accept',
    'update @limit_dns_6_df51 { ip6 saddr timeout 5s limit rate 3/second burst 15 packets } accept',
    'ip saddr != @limit_dns_4_77dd counter name "o_limit_dns_4"',
    'ip6 saddr != @limit_dns_6_df51 counter name "o_limit_dns_6"',
  ]);
});

test('conns drops the first packet of a connection too many', () => {
  assert.deepEqual(ruleIn('input', '{ name: web, tcp: 80, conns: 2 per source, do: accept }'), [
    'tcp dport 80 tcp flags & (syn | ack) == syn jump input_1',
    'input_1:',
    'add @conns_web_4_7921 { ip saddr ct count over 2 } drop',
    'add @conns_web_6_add3 { ip6 saddr ct count over 2 } drop',
    'ip saddr != @conns_web_4_7921 counter name "o_conns_web_4"',
    'ip6 saddr != @conns_web_6_add3 counter name "o_conns_web_6"',
    'accept',
  ]);
  assert.deepEqual(ruleIn('input', '{ name: all, udp: 53, conns: 100 per rule, do: accept }'), [
    'udp dport 53 jump input_1',
    'input_1:',
    'add @conns_all_d2ff { meta mark & 0x0 ct count over 100 } drop',
    'accept',
  ]);
});
