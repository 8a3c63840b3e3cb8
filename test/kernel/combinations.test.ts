/**
 * Every match beside every other, and beside every target, in every chain, each also negated: the kernel takes what it
 * compiles to and nft lists it, or the policy is refused at the rule's line. Needs root.
 */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compilePolicy } from '../../src/compiler/compile.js';
import type { Plan } from '../../src/compiler/plan.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { renderRuleset } from '../../src/nft/render.js';
import type { Diagnostic } from '../../src/policy/diagnostics.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { type Namespace, namespace } from './namespace.js';

/** Each match of xtables-addons, as it is and negated where the original can be. */
const matches: Readonly<Record<string, readonly string[]>> = {
  condition: ['condition: switch', 'condition: not switch'],
  dhcpmac: ['udp: 67, dhcpmac: 00:50:56:00:00:00/24', 'udp: 67, dhcpmac: not 00:50:56:00:00:00/24'],
  fuzzy: ['fuzzy: { lower_limit: 50, upper_limit: 500 }', 'fuzzy: { not: { lower_limit: 50, upper_limit: 500 } }'],
  geoip: ['geoip: { from: [DE, FR] }', 'geoip: { from: not DE }', 'geoip: { to: [not DE, not FR] }'],
  gradm: ['gradm: { state: disabled, constant: true }', 'gradm: { state: enabled, constant: true }'],
  iface: ['iface: { dev_in: true, flags: [up, not promisc] }', 'iface: { iface: wan, flags: not running }'],
  ipp2p: ['ipp2p: [bit, edk]'],
  ipv4options: [
    'ipv4options: { flags: [router-alert, not lsrr] }',
    'ipv4options: { flags: [record-route, timestamp], any: true }',
  ],
  knock: ['knock: door', 'knock: not door'],
  length: ['length: 100-200', 'length: not 100-200', 'length: layer5 10-20', 'length: not layer4 10-20'],
  lscan: ['lscan: [stealth, cnscan]', 'lscan: not synscan'],
  psd: ['psd: {}', 'psd: { exact: true }', 'psd: { not: { weight_threshold: 9 } }'],
  quota: ['quota: guest', 'quota: not guest', 'quota: { name: guest, no_change: true }'],
};

/** What a rule says besides; each stands beside every match, too. */
const core: readonly string[] = [
  'in: eth0',
  'out: eth0',
  'from: 192.0.2.0/24',
  'to: not 2001:db8::/32',
  'from: <guests>',
  'family: ipv6',
  'tcp: [22, 80-90]',
  'udp: not 53',
  'icmp: echo-request',
  'state: [new, established]',
  'mark: 0x1/0xff',
  'user: 0',
  'limit: 10/5s',
  'conns: 20',
];

const actions: readonly string[] = [
  'accept',
  'drop',
  'block',
  'return',
  'count',
  'log',
  'notrack',
  'reject',
  'reject with tcp-reset',
  'add source to <guests> for 10m',
  'account visitors',
  'mark 0x2/0xff',
  'chaos',
  '{ chaos: { delude: true } }',
  'checksum',
  'delude',
  'dhcpmac to ab:cd:ef:00:00:00/24',
  'echo',
  '{ ipmark: { addr: src, and_mask: 0xff, or_mask: 0x1000 } }',
  'logmark',
  'rawdnat to 192.0.2.0/24',
  'rawsnat to 192.0.2.0/24',
  'steal',
  'tarpit',
  '{ tarpit: { mode: honeypot } }',
  'tee to 192.0.2.1',
];

const chains = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting', 'nat', 'own'] as const;
type ChainName = (typeof chains)[number];

const head = `version: 1
hygiene: off
interfaces: { wan: eth0 }
tables: { guests: { timeout: 1h, size: 1000 } }
accounts: { visitors: 192.0.2.0/24 }
conditions: { switch: on }
quotas: { guest: { bytes: 1GiB } }
knocks: { door: { ports: [4001, 4002], time: 10s, autoclose: 1h } }
`;

/** The rules in a chain of that name; `own` is one that others jump to. */
function policyText(chain: ChainName, rules: readonly string[]): string {
  const lines = rules.map((rule) => `      - ${rule}`).join('\n');
  if (chain === 'nat') return `${head}nat:\n${lines}\n`;
  const on = chain === 'ingress' ? '    on: eth0\n' : '';
  const jump = '  input:\n    rules:\n      - { do: jump own }\n';
  return `${head}chains:\n${chain === 'own' ? jump : ''}  ${chain}:\n${on}    rules:\n${lines}\n`;
}

interface Compiled {
  readonly plan?: Plan;
  readonly errors: readonly Diagnostic[];
}

function compiled(chain: ChainName, rules: readonly string[]): Compiled {
  const { policy, diagnostics } = parsePolicy(policyText(chain, rules), { file: 'p.yaml', vocabulary });
  const isError = ({ severity }: Diagnostic): boolean => severity === 'error';
  if (policy === undefined) return { errors: diagnostics.filter(isError) };
  const result = compilePolicy(policy);
  return { ...(result.plan && { plan: result.plan }), errors: result.diagnostics.filter(isError) };
}

/** Rules of one policy: all of them share the bits of the marks. */
const rulesATime = 100;

/** Compiles rules together, without those that are refused, each at its line. @returns those that the kernel took */
async function take(space: Namespace, chain: ChainName, rules: readonly string[]): Promise<readonly string[]> {
  let left = rules;
  while (left.length > 0) {
    const { plan, errors } = compiled(chain, left);
    if (plan !== undefined) {
      await space.nft(renderRuleset(plan.ruleset));
      // nft 1.0.6 ends by SIGABRT over listings of some of what it loads.
      await space.run('nft', 'list', 'ruleset');
      await space.nft('flush ruleset');
      return left;
    }
    const firstLine = policyText(chain, left).split('\n').length - left.length;
    const refused = new Set(errors.map(({ at }) => at.line - firstLine));
    assert.ok(refused.size > 0, `${chain}: no plan, and no error`);
    for (const { at, message } of errors) {
      assert.ok(
        left[at.line - firstLine] !== undefined,
        `${chain}: "${message}" is at line ${at.line}, where no rule is`,
      );
    }
    left = left.filter((_, index) => !refused.has(index));
  }
  return left;
}

/** What each rule is taken by. */
async function chainsOf(space: Namespace, rules: readonly string[]): Promise<Map<string, readonly ChainName[]>> {
  const found = new Map(rules.map((rule) => [rule, [] as ChainName[]]));
  for (const chain of chains) {
    for (let at = 0; at < rules.length; at += rulesATime) {
      const taken = await take(space, chain, rules.slice(at, at + rulesATime));
      for (const rule of taken) found.get(rule)!.push(chain);
    }
  }
  return found;
}

/** Every form of each match beside every form of each other. */
const pairs = Object.values(matches).flatMap((forms, index, all) =>
  all
    .slice(index + 1)
    .flat()
    .flatMap((other) => forms.map((form) => `{ ${form}, ${other}, do: count }`)),
);
const plainly = Object.values(matches).map(([form]) => form!);

/** No packet is both. */
const contradicts = (rule: string): boolean => rule.includes('udp:') && rule.includes('lscan:');

const space = await namespace({ after });

test('every match stands beside every other somewhere, and is refused at its line elsewhere', async () => {
  const found = await chainsOf(space, pairs);
  const nowhere = [...found].filter(([rule, where]) => where.length === 0 && !contradicts(rule));
  assert.deepEqual(nowhere, []);
});

test('every match stands beside what else a rule says, or is refused at its line', async () => {
  const rules = plainly.flatMap((match) => core.map((also) => `{ ${match}, ${also}, do: count }`));
  const found = await chainsOf(space, rules);
  for (const match of plainly) {
    const beside = [...found].filter(([rule, where]) => rule.startsWith(`{ ${match}, `) && where.length > 0);
    assert.ok(beside.length > core.length / 2, `${match} stands beside ${beside.length} of ${core.length} only`);
  }
});

test('every match stands before every target somewhere, and is refused at its line elsewhere', async () => {
  const rules = plainly.flatMap((match) => actions.map((action) => `{ ${match}, do: ${action} }`));
  const found = await chainsOf(space, rules);
  for (const action of ['accept', 'drop', 'count', 'logmark', 'log']) {
    const nowhere = [...found].filter(([rule, where]) => rule.endsWith(`, do: ${action} }`) && where.length === 0);
    assert.deepEqual(nowhere, []);
  }
});
