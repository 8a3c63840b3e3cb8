/**
 * Every word of a rule, as it is written, and policies that put words together: what the tests of combinations are made
 * of. A word that the language gets and that is not here fails them.
 */

import { compilePolicy } from '../../src/compiler/compile.js';
import type { Plan } from '../../src/compiler/plan.js';
import { vocabulary } from '../../src/extensions/registry.js';
import type { Diagnostic } from '../../src/policy/diagnostics.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { coreActions } from '../../src/policy/words/actions.js';
import { coreMatches } from '../../src/policy/words/matches.js';

/** The keys of a rule with their values as text. */
export type Keys = Readonly<Record<string, string>>;

/** Values of each match: plain and, where it can be, negated. */
export const matches: Readonly<Record<string, readonly string[]>> = {
  in: ['wan', 'not wan'],
  out: ['lan', 'not lan'],
  via: ['wan', 'not wan'],
  from: ['203.0.113.0/24', 'not <bad>'],
  to: ['[192.0.2.1, 2001:db8::1]', 'not 192.0.2.1'],
  family: ['ipv4', 'ipv6'],
  proto: ['[tcp, udp]', 'not icmp'],
  tcp: ['[22, 80-90]', 'not 22'],
  udp: ['67', 'not 67'],
  port: ['53', 'not 53'],
  sport: ['1024-65535', 'not 68'],
  icmp: ['echo-request', 'not echo-request'],
  flags: ['S/SA', '[S/SA, F, U]'],
  fragment: ['true'],
  short: ['true'],
  state: ['new', 'not established'],
  mark: ['0x10/0xf0', 'not 0x10/0xf0', 'connection 0x10/0xf0'],
  limit: ['10/1s', '10/1s per source'],
  user: ['0', 'not 0'],
  group: ['0', 'not 0'],
  conns: ['9 per source'],
  condition: ['day', 'not day'],
  dhcpmac: ['00:50:56:00:00:00/24', 'not 00:50:56:00:00:00/20'],
  fuzzy: ['{ lower_limit: 3, upper_limit: 4 }', '{ not: { lower_limit: 3, upper_limit: 4 } }'],
  geoip: ['{ from: [XA, XB] }', '{ to: not XA }'],
  gradm: ['{ state: enabled, constant: true }', '{ state: disabled, constant: true }'],
  iface: [
    '{ iface: wan, flags: running }',
    '{ dev_in: true, flags: [up, not promisc] }',
    '{ dev_out: true, flags: up }',
  ],
  ipp2p: ['[bit, edk]'],
  ipv4options: ['{ flags: [record-route, not ssrr] }', '{ any: true }'],
  knock: ['door', 'not door'],
  length: ['100-200', 'not layer5 0-10'],
  lscan: ['[stealth, cnscan]', '[mirai]', 'not synscan'],
  psd: ['{ weight_threshold: 5 }', '{ exact: true }', '{ not: { weight_threshold: 5 } }'],
  quota: ['guest', 'not guest', '{ name: guest, no_change: true }'],
};

/** What a match needs beside it, unless the other one brings it. */
const needs: Readonly<Record<string, Keys>> = { sport: { tcp: 'any' }, dhcpmac: { udp: 'any' } };

interface ActionText {
  readonly do: string;
  /** What it asks of the rule. */
  readonly needs?: Keys;
}
const dhcp: Keys = { udp: '67', dhcpmac: '00:50:56:00:00:00/24' };

export const actions: Readonly<Record<string, readonly ActionText[]>> = {
  accept: [{ do: 'accept' }],
  drop: [{ do: 'drop' }],
  block: [{ do: 'block' }],
  reject: [{ do: 'reject' }, { do: 'reject with tcp-reset', needs: { tcp: 'any' } }],
  count: [{ do: 'count' }],
  return: [{ do: 'return' }],
  notrack: [{ do: 'notrack' }],
  jump: [{ do: 'jump side' }],
  goto: [{ do: 'goto side' }],
  log: [{ do: 'log' }],
  mark: [{ do: 'mark 0x1/0xf' }, { do: 'mark connection 0x1/0xf' }],
  add: [{ do: 'add source to <bad> for 10m' }],
  delete: [{ do: 'delete source from <bad>' }],
  account: [{ do: 'account sales' }],
  masquerade: [{ do: 'masquerade' }],
  snat: [{ do: 'snat to 192.0.2.1' }],
  dnat: [{ do: 'dnat to 198.51.100.7' }],
  redirect: [{ do: 'redirect to 8080', needs: { tcp: 'any' } }],
  map: [{ do: 'map 198.51.100.7 to 192.0.2.7' }],
  chaos: [{ do: 'chaos' }, { do: '{ chaos: { tarpit: true } }' }],
  checksum: [{ do: 'checksum', needs: { out: 'vnet0', udp: '68' } }],
  delude: [{ do: 'delude', needs: { tcp: 'any' } }],
  dhcpmac: [
    { do: 'dhcpmac to ab:cd:ef:00:00:00/24', needs: dhcp },
    { do: 'dhcpmac to ab:cd:ef:00:00:00/24 bridged', needs: dhcp },
  ],
  echo: [{ do: 'echo', needs: { udp: '7' } }],
  ipmark: [{ do: '{ ipmark: { addr: src, and_mask: 0xff } }' }],
  logmark: [{ do: 'logmark' }],
  rawdnat: [{ do: 'rawdnat to 192.0.2.0/24' }],
  rawsnat: [{ do: 'rawsnat to 192.0.2.0/24' }],
  steal: [{ do: 'steal', needs: { out: 'wan' } }],
  tarpit: [
    { do: 'tarpit', needs: { tcp: 'any' } },
    { do: '{ tarpit: { mode: honeypot } }', needs: { tcp: 'any' } },
  ],
  tee: [{ do: 'tee to 198.51.100.9' }],
};

/** What stands behind such a rule is a level deeper in the kernel, so that a chain has room for few of them. */
const leaving: ReadonlySet<string> = new Set(['return', 'goto']);

/** Words that aren't here: none, as long as this file keeps up with the language. */
export const missingWords: readonly string[] = [
  ...[...coreMatches, ...vocabulary.matches].filter(({ name }) => name !== 'on' && !(name in matches)),
  ...[...coreActions, ...vocabulary.actions].filter(({ name }) => !(name in actions)),
].map(({ name }) => name);

interface Single {
  readonly name: string;
  readonly value: string;
  /** Of an extension. */
  readonly own: boolean;
  readonly plain: boolean;
}
const ours = new Set([...vocabulary.matches, ...vocabulary.actions].map(({ name }) => name));
const single: readonly Single[] = Object.entries(matches).flatMap(([name, values]) =>
  values.map((value, index) => ({ name, value, own: ours.has(name), plain: index === 0 })),
);

const pairsOf = (is: (one: Single, other: Single) => boolean): readonly Keys[] =>
  single.flatMap((one, index) =>
    single
      .slice(index + 1)
      .filter((other) => one.name !== other.name && is(one, other))
      .map((other) => withNeeds({ [one.name]: one.value, [other.name]: other.value })),
  );
const isUsual = (one: Single, other: Single): boolean => (one.own || other.own) && (one.plain || other.plain);

/** Each match of an extension with each other match, one of the two as it is. */
export const pairs = pairsOf(isUsual);

/** The others: matches of the language's own with each other, and two that are both negated or in another form. */
export const otherPairs = pairsOf((one, other) => !isUsual(one, other));

/** The matches with what they need. */
function withNeeds(keys: Keys): Keys {
  const needed = Object.keys(keys).map((name) => needs[name] ?? {});
  return { ...Object.assign({}, ...needed), ...keys };
}

export interface MatchedAction {
  readonly keys: Keys;
  readonly do: string;
}

/** Each match with each action, one of the two of an extension. Where both say something of one thing, the match's word stays. */
export const matchedActions: readonly MatchedAction[] = Object.entries(actions).flatMap(([name, written]) =>
  written.flatMap((action) =>
    single
      .filter((one) => one.own || ours.has(name))
      .filter((_, index) => !leaving.has(name) || index % 8 === 0)
      .map((one) => ({ keys: { ...action.needs, ...withNeeds({ [one.name]: one.value }) }, do: action.do })),
  ),
);

/** A rule as a line of a policy. */
export const ruleText = (keys: Keys, action: string): string =>
  [...Object.entries(keys).map(([name, value]) => `${name}: ${value}`), `do: ${action}`].join(', ');

/** Base chains, all filters at once, a chain that is jumped to from two, and translations. */
export const chains = [
  ...['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting', 'filter'],
  ...['side of forward and output', 'nat'],
] as const;

const head = `version: 1
interfaces: { wan: wan, lan: lan }
tables: { bad: { timeout: 1h } }
accounts: { sales: 198.51.100.0/24 }
conditions: { day: on, night: off }
quotas: { guest: { bytes: 1GiB } }
knocks: { door: { ports: [4001, 4002], time: 10s } }
geoip: { database: /usr/share/xt_geoip }
`;

interface WrittenPolicy {
  readonly text: string;
  /** The line of the first rule. */
  readonly first: number;
}

/** A policy with these rules in a chain. */
function policyWith(chain: string, rules: readonly string[]): WrittenPolicy {
  const before = head + beginning(chain);
  const lines = rules.map((rule) => `      - { ${rule} }\n`).join('');
  const side = chain === 'nat' || chain.startsWith('side of') ? '' : '  side: { rules: [ { tcp: 1, do: count } ] }\n';
  return { text: before + lines + side, first: before.split('\n').length };
}

function beginning(chain: string): string {
  if (chain === 'nat') return 'nat:\n';
  const [, from] = chain.split('side of ');
  const jumps = from?.split(' and ').map((name) => `  ${name}: { rules: [ { do: jump side } ] }\n`) ?? [];
  const on = chain === 'ingress' ? '    on: wan\n' : '';
  return `chains:\n${jumps.join('')}  ${from === undefined ? chain : 'side'}:\n${on}    rules:\n`;
}

interface Compiled {
  readonly plan?: Plan;
  readonly errors: readonly Diagnostic[];
}

function compile(text: string): Compiled {
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml', vocabulary });
  const { plan, diagnostics: all } = policy === undefined ? { plan: undefined, diagnostics } : compilePolicy(policy);
  return { ...(plan && { plan }), errors: all.filter(({ severity }) => severity === 'error') };
}

/** Rules of a policy and what became of them. */
export interface Judged {
  /** Of the rules that compile; absent when there is none. */
  readonly plan?: Plan;
  readonly taken: readonly string[];
  /** The others, each with what is said of it. */
  readonly refused: readonly { readonly rule: string; readonly why: Diagnostic }[];
}

/** A report holds 200 problems, and a rule may have two. */
const rulesAtOnce = 100;

/** Compiles rules a hundred at a time, without those that are refused. @throws Error for an error at no rule's line. */
export function judge(chain: string, rules: readonly string[]): Judged[] {
  const parts = Array.from({ length: Math.ceil(rules.length / rulesAtOnce) }, (_, part) =>
    rules.slice(part * rulesAtOnce, (part + 1) * rulesAtOnce),
  );
  return parts.map((part) => judgePart(chain, part));
}

function judgePart(chain: string, rules: readonly string[]): Judged {
  const refused: { rule: string; why: Diagnostic }[] = [];
  let taken = rules;
  while (taken.length > 0) {
    const { text, first } = policyWith(chain, taken);
    const { plan, errors } = compile(text);
    if (plan !== undefined) return { plan, taken, refused };
    const wrong = new Map(errors.map((error) => [error.at.line - first, error]));
    for (const [index, why] of wrong) {
      const rule = taken[index];
      if (rule === undefined) throw new Error(`line ${why.at.line} is no rule's: ${why.message}`);
      refused.push({ rule, why });
    }
    taken = taken.filter((_, index) => !wrong.has(index));
  }
  return { taken, refused };
}
