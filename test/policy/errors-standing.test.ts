import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, inInput, inNat, type Row } from './complaints.js';
import { laterWords } from './later-words.js';

const tables = 'tables: { t: {} }\n';

const inChains: readonly Row[] = [
  [
    'out in input',
    '{ out: wan, do: drop }',
    `4:9 "out" can't match in "input"; it can in forward, output, postrouting or nat`,
  ],
  ['user in input', '{ user: 0, do: drop }', `4:9 "user" can't match in "input"; it can in output`],
  ['on in a chain', '{ on: wan, do: drop }', '4:9 "on" is not known here; did you mean "in"?'],
  [
    'tcp with udp',
    '{ tcp: 53, udp: 53, do: drop }',
    `4:18 "udp" can't stand with "tcp" in one rule; keep one of them, or write a rule for each`,
  ],
  [
    'icmp with tcp',
    '{ icmp: any, tcp: 53, do: drop }',
    `4:20 "tcp" can't stand with "icmp" in one rule; keep one of them, or write a rule for each`,
  ],
  [
    'flags with udp',
    '{ flags: S, udp: 53, do: drop }',
    `4:19 "udp" can't stand with "flags" in one rule; keep one of them, or write a rule for each`,
  ],
  [
    'flags with another protocol',
    '{ proto: gre, flags: S, do: drop }',
    `4:21 "flags" and "proto" can't both match: no packet has both; "proto" is gre, "flags" is tcp`,
  ],
  [
    'tcp with another protocol',
    '{ tcp: 22, proto: [udp, gre], do: drop }',
    `4:18 "proto" and "tcp" can't both match: no packet has both; "tcp" is tcp, "proto" is udp or gre`,
  ],
  ['sport alone', '{ sport: 20, do: drop }', `4:9 "sport" can't stand alone; add tcp, udp, port or proto`],
  [
    'sport of a protocol without ports',
    '{ proto: gre, sport: 20, do: drop }',
    '4:21 "sport" needs a protocol that has ports; add "tcp: any", "udp: any" or "port: any"',
  ],
  [
    'addresses of two families',
    '{ from: 192.0.2.1, to: 2001:db8::1, do: drop }',
    `4:26 "to" and "from" can't both match: no packet has both; "from" is IPv4, "to" is IPv6`,
  ],
  [
    'an address of the other family',
    '{ family: ipv6, from: [192.0.2.1, 192.0.2.2], do: drop }',
    `4:23 "from" and "family" can't both match: no packet has both; "family" is IPv6, "from" is IPv4`,
  ],
  [
    'ICMP of IPv4 in IPv6',
    '{ proto: icmp, family: ipv6, do: drop }',
    `4:22 "family" and "proto" can't both match: no packet has both; "proto" is IPv4, "family" is IPv6`,
  ],
  [
    'a message that IPv6 has not',
    '{ icmp: timestamp-request, to: 2001:db8::1, do: drop }',
    `4:34 "to" and "icmp" can't both match: no packet has both; "icmp" is IPv4, "to" is IPv6`,
  ],
  [
    'a number of ICMP in both families',
    '{ icmp: [echo-request, 3/4], do: drop }',
    '4:9 "3/4" is another ICMP message in IPv4 than in IPv6; write a name, or add "family: ipv4"',
  ],
  ['a number of ICMP in one family', '{ icmp: 3/4, family: ipv4, do: drop }'],
  [
    'a reset for what is not TCP',
    '{ udp: 53, do: reject with tcp-reset }',
    '4:22 "reject with tcp-reset" answers only TCP; add "tcp:" to the rule, or "reject" otherwise',
  ],
  [
    'something behind a verdict',
    '{ tcp: 22, do: [drop, count] }',
    '4:29 "count" stands behind "drop" and is never reached; put "drop" last',
  ],
  ['translation in a chain', '{ tcp: 22, do: masquerade }', `4:22 "masquerade" can't stand in "input"; it can in nat`],
  [
    'notrack behind tracking',
    '{ do: notrack }',
    `4:13 "notrack" can't stand in "input"; it can in prerouting or output`,
  ],
  [
    'ports of a fragment',
    '{ fragment: true, tcp: 22, do: drop }',
    `4:25 "tcp" can't stand with "fragment" in one rule; keep one of them, or write a rule for each`,
  ],
  [
    'the state of a fragment',
    '{ state: new, fragment: true, do: drop }',
    `4:21 "fragment" can't stand with "state" in one rule; keep one of them, or write a rule for each`,
  ],
  [
    'a fragment that is accepted',
    '{ fragment: true, do: accept }',
    `4:29 "accept" can't be done to a fragment; it is judged again when it is whole; here it can be drop, block, count, log, add or delete`,
  ],
];

for (const [sentence, rule, ...expected] of inChains) {
  test(`what can't work in input: ${sentence}`, () => assert.deepEqual(inInput(rule), expected));
}

const translations: readonly Row[] = [
  [
    'a verdict',
    '{ in: wan, do: drop }',
    `2:18 "drop" can't stand in "nat"; it can in ingress, prerouting, input, forward, output or postrouting`,
    '2:3 this rule translates nothing; add dnat, snat, masquerade, redirect, map, or accept for "as it is"',
  ],
  [
    'no translation',
    '{ in: wan, do: count }',
    '2:3 this rule translates nothing; add dnat, snat, masquerade, redirect, map, or accept for "as it is"',
  ],
  ['an exception', '{ out: wan, to: 192.0.2.0/24, do: accept }'],
  [
    'two translations',
    '{ in: wan, tcp: 80, do: [dnat to 192.0.2.1, masquerade] }',
    '2:47 "masquerade" stands beside "dnat"; a rule translates once: split it',
  ],
  [
    'a way out before routing',
    '{ out: wan, tcp: 80, do: dnat to 192.0.2.1 }',
    `2:5 "out" can't match with "dnat"; the packet has no way out yet: use "in"`,
  ],
  [
    'a port without a protocol',
    '{ in: wan, do: dnat to 192.0.2.1 port 80 }',
    '2:18 "dnat" to a port needs a protocol that has ports; add "tcp:", "udp:", "port:" or "proto:"',
  ],
  [
    'a redirect without a protocol',
    '{ in: wan, do: redirect to 8021 }',
    '2:18 "redirect" to a port needs a protocol that has ports; add "tcp:", "udp:", "port:" or "proto:"',
  ],
  [
    'ranges of ports of different length',
    '{ in: wan, tcp: 8000-8002, do: dnat to 192.0.2.1 port 2000-2001 }',
    '2:34 "dnat" to 2 ports needs one range of 2 ports in the rule; or one target port',
  ],
  [
    'a target of the other family',
    '{ in: wan, family: ipv6, tcp: 80, do: dnat to 192.0.2.1 }',
    `2:41 "dnat" and "family" can't both match: no packet has both; "family" is IPv6, "dnat" is IPv4`,
  ],
  [
    'established connections',
    '{ out: wan, state: established, do: masquerade }',
    `2:15 "state: established" can't match in "nat"; only the first packet of a connection comes here`,
  ],
  ['users', '{ user: 1000, out: wan, do: masquerade }', `2:5 "user" can't match in "nat"; it can in output`],
  [
    'a map of two families',
    '{ on: wan, do: map 192.0.2.2 to 2001:db8::2 }',
    '2:18 "map" has an IPv4 and an IPv6 side; both sides are of one family',
  ],
  [
    'a map of two sizes',
    '{ on: wan, do: map 192.0.2.0/24 to 203.0.113.0/25 }',
    '2:18 "map" has sides of different size; one inside address has one outside address',
  ],
  [
    'a map of ranges',
    '{ on: wan, do: map 192.0.2.1-192.0.2.2 to 203.0.113.1-203.0.113.2 }',
    '2:18 "map" takes addresses or prefixes, not ranges; split the range into prefixes',
  ],
  [
    'a map of ports',
    '{ on: wan, tcp: 80, do: map 192.0.2.2 to 203.0.113.2 }',
    `2:14 "tcp" can't stand with "map"; a map takes "on:" and "family:" only`,
  ],
  [
    'in beside on',
    '{ on: wan, in: wan, do: map 192.0.2.2 to 203.0.113.2 }',
    `2:14 "in" can't stand with "on" in one rule; keep one of them, or write a rule for each`,
  ],
];

for (const [sentence, rule, ...expected] of translations) {
  test(`what can't work in nat: ${sentence}`, () => assert.deepEqual(inNat(rule).sort(), [...expected].sort()));
}

const policies: readonly Row[] = [
  [
    'in, in output',
    'chains: { output: { rules: [ { in: wan, do: drop } ] } }\n',
    `1:32 "in" can't match in "output"; it can in ingress, prerouting, input, forward, postrouting or nat`,
  ],
  [
    'filter keeps a rule where it can match',
    'chains: { filter: { rules: [ { in: wan, out: lan, do: drop }, { user: 0, do: drop }, { in: wan, do: drop } ] } }\n',
  ],
  [
    'in and user, each of which filter has, but never together',
    'chains: { filter: { rules: [ { in: wan, user: 0, do: drop } ] } }\n',
    `1:41 "user" and the matches before it can't all match in "filter", which is input, forward and output; split the rule`,
  ],
  [
    'an action that only a part of filter can take',
    'chains: { filter: { rules: [ { do: notrack }, { user: 0, do: notrack } ] } }\n',
    `1:36 "notrack" can't stand in "filter", which is input and forward; it can in prerouting or output`,
  ],
  [
    'filter beside what it stands for',
    'chains: { filter: {}, input: {}, postrouting: {} }\n',
    '1:23 "input" stands beside "filter", which stands for input, forward and output; write one or the other',
  ],
  [
    'a chain that is reached from where its action cannot stand',
    'chains:\n  postrouting: { rules: [ { do: jump no } ] }\n  no: { rules: [ { do: reject } ] }\n',
    `3:24 "reject" can't stand in "no", which is reached from postrouting; it can in ingress, prerouting, input, forward or output`,
  ],
  [
    'a chain of the user is judged by where it is reached from',
    'chains:\n  input: { rules: [ { do: jump a } ] }\n  a: { rules: [ { do: jump b } ] }\n  b: { rules: [ { out: wan, do: drop } ] }\n',
    `4:19 "out" can't match in "b", which is reached from input; it can in forward, output, postrouting or nat`,
  ],
  [
    'a jump that only output can take',
    'chains:\n  filter: { rules: [ { user: 0, do: jump a } ] }\n  a: { rules: [ { in: wan, do: drop } ] }\n',
    `3:19 "in" can't match in "a", which is reached from output; it can in ingress, prerouting, input, forward, postrouting or nat`,
  ],
  [
    'fragments in a chain behind their reassembly',
    'chains:\n  input: { rules: [ { do: jump a } ] }\n  a: { rules: [ { fragment: true, do: drop } ] }\n',
    `3:19 "fragment" can't match in "a": fragments are put together before it; put the rule into input, forward or filter`,
  ],
  [
    'state at ingress',
    'chains: { ingress: { on: wan, rules: [ { state: new, do: drop } ] } }\n',
    `1:42 "state" can't match in "ingress"; it can in prerouting, input, forward, output, postrouting or nat`,
  ],
  [
    'the mark of a connection at ingress',
    'chains: { ingress: { on: wan, rules: [ { mark: connection 5, do: mark connection 6 } ] } }\n',
    '1:42 there is no connection yet in "ingress" to have a mark; use the mark of the packet',
  ],
  [
    'state before tracking',
    'chains: { prerouting: { rules: [ { state: new, udp: 53, do: notrack } ] } }\n',
    `1:36 "state" can't match before tracking, where "notrack" stands; leave it out`,
  ],
  [
    'a mark of what is not tracked',
    'chains: { prerouting: { rules: [ { udp: 53, do: [notrack, mark connection 5] } ] } }\n',
    '1:59 a packet that is not tracked has no connection to mark; mark the packet',
  ],
  [
    'ingress without interfaces',
    'chains: { ingress: { rules: [] } }\n',
    '1:11 "ingress" sees the packets of certain interfaces; name them: "on: wan"',
  ],
  [
    'on in input',
    'chains: { input: { on: wan } }\n',
    `1:20 "on" can't stand in "input"; only "ingress" has it; rules have "in" and "out"`,
  ],
  [
    'a policy of a chain that is jumped to',
    'chains: { input: { rules: [ { do: jump a } ] }, a: { policy: drop } }\n',
    '1:54 "a" is a chain of your own, which has no policy; it returns to the rule behind the jump',
  ],
  [
    'a block that answers in postrouting',
    'block_policy: return\nchains: { postrouting: { policy: block, rules: [ { out: wan, do: block } ] } }\n',
    `2:11 "policy: block" answers, which "postrouting" can't; write "policy: drop"`,
    `2:66 "block" can't stand in "postrouting"; it can in ingress, prerouting, input, forward or output`,
  ],
  [
    'a chain that jumps to itself',
    'chains: { input: { rules: [ { do: jump a } ] }, a: { rules: [ { do: jump a } ] } }\n',
    '1:69 "jump a" closes a loop: a → a; a packet would never leave it',
  ],
  [
    'two loops, one of them behind the other',
    'chains:\n  input: { rules: [ { do: jump a } ] }\n  a: { rules: [ { do: jump d }, { do: jump b } ] }\n  b: { rules: [ { do: goto a } ] }\n  d: { rules: [ { do: jump e } ] }\n  e: { rules: [ { do: jump d } ] }\n',
    '4:23 "goto a" closes a loop: a → b → a; a packet would never leave it',
    '6:23 "jump d" closes a loop: d → e → d; a packet would never leave it',
  ],
  [
    'a misspelt base chain',
    'chains: { imput: { rules: [ { do: drop } ] } }\n',
    '1:11 nothing jumps to chain "imput"; did you mean "input"?',
  ],
  [
    'a negated table of one family',
    'tables: { office: { entries: [192.0.2.0/24] } }\nchains:\n  input:\n    rules:\n      - { from: not <office>, do: drop }\n      - { family: ipv4, from: not <office>, do: drop }\n',
    '5:21 warning: "not <office>" matches all of IPv6: the table begins with IPv4 only; add "family: ipv4" if that is not meant',
  ],
];

for (const [sentence, text, ...expected] of policies) {
  test(`what can't work in a policy: ${sentence}`, () => assert.deepEqual(complaints(text), expected));
}

test('jumps that go too deep for the kernel are refused where they do', () => {
  const chain = (index: number) => `  c${index}: { rules: [ { do: jump c${index + 1} } ] }\n`;
  const text = `chains:\n  input: { rules: [ { do: jump c1 } ] }\n${Array.from({ length: 12 }, (_, i) => chain(i + 1)).join('')}  c13: {}\n`;
  assert.deepEqual(complaints(text), ['14:25 jumps go deeper than 12 chains; flatten some']);
});

test('words of extensions are checked where they stand, too', () => {
  const text = `${tables}chains:\n  output: { rules: [ { tcp: 22, overload: { table: t }, do: accept } ] }\n  input: { rules: [ { helper: ftp, do: [tarpit, count] } ] }\n`;
  assert.deepEqual(complaints(text, { vocabulary: laterWords }), [
    `3:33 "overload" can't match in "output"; it can in input or forward`,
    `4:23 "helper" can't stand alone; add tcp or udp`,
  ]);
  const behind = 'chains: { input: { rules: [ { do: [tarpit, count] } ] } }\n';
  assert.deepEqual(complaints(behind, { vocabulary: laterWords }), [
    '1:44 "count" stands behind "tarpit" and is never reached; put "tarpit" last',
  ]);
});

test('an action of an extension is written bare or as a map of one key', () => {
  const rule = (action: string) => `chains: { input: { rules: [ { do: ${action} } ] } }\n`;
  const told = (action: string) => complaints(rule(action), { vocabulary: laterWords });
  assert.deepEqual(told('chaos'), []);
  assert.deepEqual(told('{ chaos: { tarpit: true } }'), []);
  assert.deepEqual(told('chaos tarpit'), ['1:35 "chaos" is not written so; give its options as { chaos: { … } }']);
  assert.deepEqual(told('echo'), ['1:35 "echo" is not written so; give its options as { echo: { … } }']);
  assert.deepEqual(told('{ echo: { prot: 7 } }'), [
    '1:43 "port" is missing in "echo"',
    '1:45 "prot" is not known here; did you mean "port"?',
  ]);
});
