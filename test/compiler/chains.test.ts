/** What stands before and between the rules of a chain, and where its rules go. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areBadFlags } from '../../src/compiler/hygiene.js';
import { chainsOf, diagnosticsOf, planOf, rulesOf } from './compiled.js';

const nd =
  'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept';
const mld =
  'icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } ip6 hoplimit 1 accept';
const known = 'ct state established,related accept';

/** Rules of a chain, in a policy of these lines. */
const chain = (name: string, policy: string): string[] => rulesOf(planOf(policy), name);

test('a chain without a word on states accepts known connections first, then what a host needs', () => {
  const policy = 'chains:\n  input: { policy: drop }\n  output: { policy: drop }\n  forward: { policy: drop }\n';
  assert.deepEqual(chain('input', policy), [known, 'iifname "lo" accept', nd, mld]);
  assert.deepEqual(chain('output', policy), [known, 'oifname "lo" accept', nd, mld]);
  assert.deepEqual(chain('forward', policy), [known]);
});

test('where the policy accepts known connections itself, that is the place', () => {
  const policy = `
tables: { banned: {} }
chains:
  input:
    rules:
      - { from: <banned>, family: ipv4, do: drop }
      - { state: [established, related], do: accept }
      - { tcp: 22, do: accept }
`;
  assert.deepEqual(chain('input', policy), [
    'iifname "lo" accept',
    nd,
    mld,
    'ip saddr @t_banned_h4 drop',
    'ip saddr @t_banned_p4 drop',
    known,
    'tcp dport 22 tcp flags & (syn | ack) == syn accept',
  ]);
});

test('a rule about the states of some service is not that place', () => {
  const policy = 'hygiene: off\nchains:\n  input:\n    rules:\n      - { state: established, tcp: 22, do: accept }\n';
  assert.deepEqual(chain('input', policy), [known, 'ct state established tcp dport 22 accept']);
});

test('a chain that is always jumped to may have the rule', () => {
  const policy = `
hygiene: off
chains:
  input: { rules: [{ do: jump common }, { tcp: 22, do: accept }] }
  common: { rules: [{ state: [established, related], do: accept }] }
`;
  assert.deepEqual(chain('input', policy), ['jump u_common', 'tcp dport 22 tcp flags & (syn | ack) == syn accept']);
});

test('rules at the head that only count see every packet', () => {
  const policy = `
accounts: { all: 0.0.0.0/0 }
chains:
  forward:
    rules:
      - { do: account all }
      - { in: lan, do: count }
      - { in: lan, do: accept }
`;
  assert.deepEqual(chain('forward', policy), ['jump account_all', 'iifname "lan"', known, 'iifname "lan" accept']);
});

test('an account below the state rule is warned of', () => {
  const policy = `
accounts: { all: 0.0.0.0/0 }
chains:
  forward:
    rules:
      - { in: dmz, do: drop }
      - { do: account all }
`;
  assert.deepEqual(diagnosticsOf(policy), [
    '7:15 account sees only the first packets of connections here: those of known connections are accepted above; put the rule at the head of the chain, or in prerouting',
  ]);
});

test('a mark of each packet below the state rule is warned of; above one that the policy writes, all packets get it', () => {
  const marking = '{ do: { ipmark: { addr: src, shift: 8 } } }';
  const forward = (...rules: string[]) =>
    `chains:\n  forward:\n    rules:\n${rules.map((rule) => `      - ${rule}\n`).join('')}`;
  assert.deepEqual(diagnosticsOf(forward(marking)), [
    '4:17 ipmark sees only the first packets of connections here: those of known connections are accepted above; put the rule above a rule of this chain that accepts "state: [established, related]", or in prerouting',
  ]);
  assert.deepEqual(diagnosticsOf(forward(marking, '{ state: [established, related], do: accept }')), []);
});

test('hygiene can drop what is invalid, in one lookup or before the rule of the policy', () => {
  const on = 'hygiene: { invalid: on }\n';
  const vmap = 'ct state vmap { established : accept, related : accept, invalid : drop }';
  assert.equal(chain('input', `${on}chains:\n  input: {}\n`)[0], vmap);
  assert.equal(chain('output', `${on}chains:\n  output: {}\n`)[0], known);
  const written = `${on}chains:\n  forward: { rules: [{ in: lan, do: drop }, { state: established, do: accept }] }\n`;
  assert.deepEqual(chain('forward', written), [
    'iifname "lan" drop',
    'ct state invalid drop',
    'ct state established accept',
  ]);
  const judged = `${on}chains:\n  forward: { rules: [{ state: invalid, do: reject }] }\n`;
  assert.deepEqual(chain('forward', judged), [known, 'ct state invalid reject with icmpx type port-unreachable']);
});

test('bad flags are all that the classic rules drop, and nothing else', () => {
  const [F, S, R, P, A, U] = [1, 2, 4, 8, 16, 32] as const;
  const has = (flags: number, mask: number, value: number) => (flags & mask) === value;
  for (let flags = 0; flags < 64; flags += 1) {
    const bad =
      has(flags, F | S, F | S) ||
      has(flags, S | R, S | R) ||
      has(flags, F | R, F | R) ||
      has(flags, F | A, F) ||
      has(flags, P | A, P) ||
      has(flags, U | A, U) ||
      flags === 0;
    assert.equal(areBadFlags(flags), bad, String(flags));
  }
  const plan = planOf('hygiene: { bad_flags: on }\nchains:\n  input: {}\n');
  const [rule] = rulesOf(plan, 'bad_flags');
  assert.match(
    rule!,
    /^tcp flags & \(fin \| syn \| rst \| psh \| ack \| urg\) != \{ syn, rst, ack, .*fin \| psh \| ack \| urg.* \} drop$/,
  );
});

test('block as a policy answers at the end of the chain where block_policy is return', () => {
  const policy =
    'hygiene: off\nblock_policy: return\nchains:\n  input: { policy: block, rules: [{ tcp: 22, do: block }] }\n';
  assert.deepEqual(chain('input', policy), [known, 'tcp dport 22 goto block', 'goto block']);
  assert.deepEqual(chain('block', policy), [
    'meta l4proto tcp reject with tcp reset',
    'meta l4proto udp reject with icmpx type port-unreachable',
    'drop',
  ]);
});

test('filter stands in input, forward and output, each with the rules that can hold there', () => {
  const policy = `
hygiene: off
chains:
  filter:
    policy: drop
    rules:
      - { in: wan, tcp: 22, to: me, do: accept }
      - { out: wan, udp: 53, do: accept }
      - { user: 0, do: accept }
`;
  assert.deepEqual(chain('input', policy), [
    known,
    'iifname "wan" fib daddr type local tcp dport 22 tcp flags & (syn | ack) == syn accept',
  ]);
  assert.deepEqual(chain('forward', policy), [known, 'oifname "wan" udp dport 53 accept']);
  assert.deepEqual(chain('output', policy), [known, 'oifname "wan" udp dport 53 accept', 'meta skuid 0 accept']);
});

test('a chain that is jumped to is written once when its rules mean the same in every hook', () => {
  const policy = `
hygiene: off
chains:
  filter: { rules: [{ do: jump services }] }
  services: { rules: [{ udp: 53, do: accept }, { from: 192.0.2.1, do: goto others }] }
  others: { rules: [{ do: drop }] }
`;
  assert.deepEqual(chain('forward', policy), [known, 'jump u_services']);
  assert.deepEqual(chain('u_services', policy), ['udp dport 53 accept', 'ip saddr 192.0.2.1 goto u_others']);
});

test('else it is written for each hook', () => {
  const policy = `
hygiene: off
chains:
  filter: { rules: [{ do: jump services }] }
  services: { rules: [{ via: lan, do: accept }, { in: wan, do: drop }] }
`;
  assert.deepEqual(chain('input', policy), [known, 'jump u_services_input']);
  assert.deepEqual(chain('u_services_input', policy), ['iifname "lan" accept', 'iifname "wan" drop']);
  assert.deepEqual(chain('u_services_forward', policy), [
    'iifname "lan" accept',
    'oifname "lan" accept',
    'iifname "wan" drop',
  ]);
  assert.deepEqual(chain('u_services_output', policy), ['oifname "lan" accept']);
});

test('return from a chain of stages ends the chain of the policy', () => {
  const policy = `
hygiene: off
tables: { a: {}, b: {} }
chains:
  input: { rules: [{ do: jump user }] }
  user:
    rules:
      - { from: <a>, to: <b>, do: return }
      - { do: drop }
`;
  assert.deepEqual(chain('u_user', policy), ['goto u_user_1', 'goto u_user_1_rest']);
  assert.equal(chain('u_user_1', policy).at(-1), 'goto u_user_1_rest');
  assert.equal(chain('u_user_1_2', policy)[0], 'ip daddr @t_b_h4 return');
  assert.deepEqual(chain('u_user_1_rest', policy), ['drop']);
});

test('rules about fragments stand before fragments are put together', () => {
  const policy = (name: string) => `chains:\n  ${name}:\n    rules:\n      - { in: wan, fragment: true, do: drop }\n`;
  const early = (name: string) => chain('early', policy(name));
  assert.deepEqual(early('prerouting'), [
    'iifname "wan" ip frag-off & 0x1fff != 0x0 drop',
    'iifname "wan" exthdr frag exists drop',
  ]);
  assert.deepEqual(early('filter'), early('prerouting'));
  assert.match(early('input')[0]!, / fib daddr type local drop$/);
  assert.match(early('forward')[1]!, / fib daddr type != local drop$/);
});

test('notrack stands before conntrack, and the other actions where the policy has them', () => {
  const plan = planOf('chains:\n  prerouting: { rules: [{ udp: 53, do: [notrack, accept] }] }\n');
  assert.deepEqual(rulesOf(plan, 'raw_prerouting'), ['udp dport 53 notrack']);
  assert.deepEqual(rulesOf(plan, 'prerouting'), ['udp dport 53 accept']);
  const only = planOf('chains:\n  output: { rules: [{ out: wan, udp: 53, do: notrack }] }\n');
  assert.deepEqual(rulesOf(only, 'raw_output'), ['oifname "wan" udp dport 53 notrack']);
});

test('an ingress chain hooks into its devices and shares the sets of tables', () => {
  const plan = planOf(`
tables: { banned: {} }
chains:
  ingress: { on: [eth0, eth1], rules: [{ from: <banned>, family: ipv4, do: drop }] }
`);
  const ingress = plan.ruleset.tables[0]!.chains.find(({ name }) => name === 'ingress');
  assert.deepEqual(ingress?.base, {
    ...{ type: 'filter', hook: 'ingress', priority: -500, policy: 'accept' },
    devices: ['eth0', 'eth1'],
  });
  assert.deepEqual(rulesOf(plan, 'ingress'), ['ip saddr @t_banned_h4 drop', 'ip saddr @t_banned_p4 drop']);
});

test('a nat chain without anything that needs connections gets something that does', () => {
  const plan = planOf('nat:\n  - { in: wan, do: [count, accept] }\n');
  assert.deepEqual(rulesOf(plan, 'dstnat'), ['iifname "wan" accept']);
  assert.deepEqual(rulesOf(plan, 'conntrack'), ['ct state invalid']);
  assert.ok(!chainsOf(planOf('nat:\n  - { in: wan, tcp: 25, do: redirect to 8025 }\n')).includes('conntrack'));
});
