/** Each target in each chain: the recipe that `compile --explain` names, or an error with the chains where it can stand. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileOne } from './one-rule.js';

const chains = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
type Chain = (typeof chains)[number];

interface Target {
  readonly name: string;
  readonly rule: string;
  /** What is said of the recipe. */
  readonly stands: Readonly<Partial<Record<Chain, RegExp>>>;
  /** Chains that the word can stand in, but not this rule: with the reason. */
  readonly refused?: Readonly<Partial<Record<Chain, RegExp>>>;
  /** What else the policy needs. */
  readonly sections?: string;
}

const early = /before connection tracking, at priority -300/;
const late = /behind connection tracking, at priority 300/;
const held = /SYNs are answered by synproxy; IPv6, and what comes after the SYN, by the daemon/;
const byDaemon = /mode honeypot: answered by the daemon/;
const copied = /the copy is sent from table ip, right behind this chain: dup doesn't exist in inet/;
const dropped = /a drop: nobody here has sent the packet/;
const openDevice = /which this rule leaves open; add "out:"/;
const noOut = /"out" can't match in/;
const detour = /the checksum follows by a detour over the port/;

const behindIngress = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
const inAll = (of: readonly Chain[], said: RegExp) => Object.fromEntries(of.map((chain) => [chain, said]));

const targets: readonly Target[] = [
  {
    name: 'tarpit',
    rule: '{ tcp: 23, do: tarpit }',
    stands: { ingress: /answered at ingress by turning packets round/, input: held, forward: held },
  },
  {
    name: 'tarpit',
    rule: '{ tcp: 23, do: { tarpit: { mode: honeypot } } }',
    stands: inAll(['ingress', 'input', 'forward'], byDaemon),
  },
  {
    name: 'delude',
    rule: '{ tcp: 23, do: delude }',
    stands: {
      ingress: /answered at ingress by turning the SYN round/,
      ...inAll(['input', 'forward'], /answered by synproxy \(IPv4\) or the daemon \(IPv6\)/),
    },
  },
  {
    name: 'chaos',
    rule: '{ tcp: 23, do: chaos }',
    stands: {
      ingress: /drawn and answered at ingress/,
      ...inAll(['input', 'forward', 'output'], /drawn in this chain/),
    },
  },
  { name: 'echo', rule: '{ udp: 7, do: echo }', stands: { ingress: /turning the datagram round/ } },
  { name: 'tee', rule: '{ udp: 7, do: tee to 192.0.2.1 }', stands: inAll(behindIngress, copied) },
  {
    name: 'steal',
    rule: '{ udp: 7, do: steal }',
    stands: inAll(['ingress', 'prerouting', 'input', 'forward'], dropped),
    refused: inAll(['output', 'postrouting'], openDevice),
  },
  {
    name: 'steal',
    rule: '{ udp: 7, out: eth0, do: steal }',
    stands: { forward: dropped, ...inAll(['output', 'postrouting'], /taken at eth0 and dropped on lo/) },
    refused: inAll(['ingress', 'prerouting', 'input'], noOut),
  },
  ...['rawdnat', 'rawsnat'].map((name) => ({
    name,
    rule: `{ udp: 7, do: ${name} to 192.0.2.0/24 }`,
    stands: { prerouting: early, output: early, postrouting: late },
  })),
  {
    name: 'checksum',
    rule: '{ udp: 68, out: vnet0, do: checksum }',
    stands: { postrouting: /the checksum is cleared/ },
    refused: inAll(['ingress', 'prerouting', 'input'], noOut),
  },
  {
    name: 'dhcpmac',
    rule: '{ udp: 67, dhcpmac: 00:50:56:00:00:00/24, do: dhcpmac to ab:cd:ef:00:00:00/24 }',
    stands: inAll(behindIngress, detour),
  },
  {
    name: 'dhcpmac',
    rule: '{ udp: 67, dhcpmac: 00:50:56:00:00:00/24, do: dhcpmac to ab:cd:ef:00:00:00/24 bridged }',
    stands: { forward: /in table bridge, too/ },
    refused: inAll(['prerouting', 'input', 'output', 'postrouting'], /in forward; write a rule of its own/),
  },
  {
    name: 'ipmark',
    rule: '{ udp: 7, do: { ipmark: { addr: src } } }',
    stands: inAll(chains, /the mark is set in this chain; rules that it takes: 2 for IPv4, 2 for IPv6/),
  },
  {
    name: 'ipmark',
    rule: '{ family: ipv6, do: { ipmark: { addr: dst, shift: 8, and_mask: 0xff } } }',
    stands: inAll(chains, /rules that it takes: 1 for IPv6/),
  },
  {
    name: 'account',
    rule: '{ do: account sales }',
    stands: inAll(chains, /account sales is counted in a chain of its own/),
    sections: 'accounts: { sales: 192.0.2.0/24 }\n',
  },
  { name: 'logmark', rule: '{ udp: 7, do: logmark }', stands: inAll(behindIngress, /the daemon writes the line/) },
];

for (const { name, rule, stands, refused = {}, sections = '' } of targets) {
  test(`${rule} says its recipe where it stands, and elsewhere where it could`, () => {
    for (const chain of chains) {
      const { errors, notes } = compileOne(chain, rule, { sections });
      const recipe = stands[chain];
      if (recipe !== undefined) {
        assert.deepEqual(errors, [], chain);
        assert.ok(
          notes.some((note) => recipe.test(note)),
          `${chain}: ${notes.join('\n')}`,
        );
        continue;
      }
      const [first = 'no error'] = errors;
      assert.match(first, refused[chain] ?? new RegExp(`"${name}" can't stand in "${chain}"; it can in `), chain);
      assert.match(first, /^[56]:[0-9]+ /);
    }
  });
}

test('an ingress chain says in which table it stands, and why', () => {
  const said = (rule: string) => compileOne('ingress', rule).notes.find((note) => note.includes('ingress stands in'));
  assert.match(
    said('{ tcp: 23, do: tarpit }') ?? '',
    /^3:3 ingress stands in netdev: no rule needs more than the packet/,
  );
  assert.match(
    said('{ tcp: 23, limit: 5/1s, do: tarpit }') ?? '',
    /^3:3 ingress stands in inet: line 6 needs what only inet has; traps answer from a chain of netdev behind it/,
  );
});
