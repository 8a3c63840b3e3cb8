/** The answer to `why`, as data: what programs get as JSON, and what the story is told from. */

import type { Plan } from '../compiler/plan.js';
import { formatAddress } from '../net/address.js';
import { formatProtocol } from '../net/protocol.js';
import type { Policy, Rule } from '../policy/ast.js';
import { type Packet, portsOf } from '../wire/packet.js';
import { lostText } from './lost.js';
import { type Judged, judged, nearMisses, type Visit, visitsOf } from './near.js';
import { type Place, PolicyIndex } from './policy-index.js';
import { replyText } from './policytest/check.js';
import type { Outcome } from './reading.js';
import type { RuleRef } from './twin.js';
import { conditionText, type Facts, insteadText } from './wording.js';

export interface Answer {
  readonly packet: string;
  readonly verdict: Outcome['verdict'];
  readonly by: AnswerBy;
  readonly state: Outcome['state'];
  readonly mark: number;
  readonly in?: string;
  readonly out: readonly { readonly device: string; readonly kind: 'answer' | 'onward'; readonly text: string }[];
  readonly path: readonly AnswerChain[];
  readonly near: readonly AnswerRule[];
  /** What would let it through, as a command. */
  readonly remedy?: string;
  readonly effects: readonly string[];
  readonly duties: readonly string[];
  readonly copied: readonly string[];
  readonly caveats: readonly string[];
  readonly incomplete?: string;
}

export interface AnswerBy {
  readonly kind: Outcome['stop']['by'];
  /** In a sentence, after the verdict. */
  readonly text: string;
  readonly place?: Place;
  /** The rule as it stands in the policy. */
  readonly rule?: string;
}

export interface AnswerChain {
  readonly hook: string;
  readonly chain: string;
  /** The compiler made it for one of the rules; the policy has no such chain. */
  readonly generated: boolean;
  readonly rules: readonly AnswerRule[];
  readonly end?: 'accept' | 'drop' | 'return';
}

export interface AnswerRule {
  readonly place?: Place;
  readonly rule?: string;
  readonly took: boolean;
  readonly verdict?: string;
  /** Of a rule that didn't take it. */
  readonly held: readonly string[];
  readonly failed?: string;
  readonly instead?: string;
}

export interface Question {
  readonly packet: Packet;
  readonly outcome: Outcome;
  readonly rules: readonly RuleRef[];
  readonly plan: Plan;
  readonly policy?: Policy;
  readonly device?: string;
  readonly effects?: readonly string[];
  readonly copied?: readonly string[];
  readonly caveats?: readonly string[];
}

/** @param question what was asked, and what the kernel did. */
export function answerOf(question: Question): Answer {
  const { packet, outcome, plan, policy, device } = question;
  const index = new PolicyIndex(policy);
  const facts: Facts = {
    ...{ packet, outcome, manifest: plan.manifest },
    ...(device !== undefined && { device }),
    alias: aliases(policy),
  };
  const visits = visitsOf(outcome, question.rules);
  const tell = (one: Judged): AnswerRule => ruleAnswer(one, index, facts);
  const misses = nearMisses(visits, isRefused(outcome) ? (at) => accepts(index.ruleAt(at)) : undefined);
  const near = misses.map(tell);
  const remedy = remedyOf(misses, facts);
  return {
    packet: packetText(packet),
    verdict: outcome.verdict,
    by: byOf(outcome, index),
    state: outcome.state,
    mark: outcome.mark,
    ...(device !== undefined && { in: facts.alias(device) }),
    out: outcome.out.map((exit) => ({ device: exit.device, kind: exit.kind, text: replyText(exit) })),
    path: visits.map((visit) => chainAnswer(visit, policy, tell)),
    near,
    ...(remedy !== undefined && isRefused(outcome) && { remedy }),
    effects: question.effects ?? [],
    duties: dutiesOf(outcome, plan),
    copied: question.copied ?? [],
    caveats: [...(question.caveats ?? []), ...caveatsOf(plan, question.copied !== undefined)],
    ...(outcome.incomplete !== undefined && { incomplete: outcome.incomplete }),
  };
}

/** May it let packets through? Jumps and traps may, too, but are no remedy. */
const accepts = (rule: Rule | undefined): boolean => rule?.actions.some(({ action }) => action === 'accept') ?? false;

const isRefused = ({ verdict }: Outcome): boolean => verdict === 'drop' || verdict === 'reject';

function aliases(policy: Policy | undefined): (device: string) => string {
  const byDevice = new Map([...(policy?.interfaces ?? [])].map(([alias, { device }]) => [device, alias]));
  return (device) => byDevice.get(device) ?? device;
}

function byOf({ stop }: Outcome, index: PolicyIndex): AnswerBy {
  const place = index.placeOf(stop);
  const rule = stop.by === 'rule' ? index.ruleAt(stop.rule.rule.origin)?.text : undefined;
  return {
    kind: stop.by,
    text: stop.by === 'host' ? `by the host: ${lostText[stop.reason]}` : index.describe(stop),
    ...(place !== undefined && { place }),
    ...(rule !== undefined && { rule }),
  };
}

function chainAnswer(visit: Visit, policy: Policy | undefined, tell: (one: Judged) => AnswerRule): AnswerChain {
  const { hook, chain, end } = visit;
  const isBase = chain === hook || chain.endsWith(`_${hook}`);
  const generated = policy !== undefined && !isBase && !policy.chains.has(chain);
  return { hook, chain, generated, rules: judged(visit).map(tell), ...(end !== undefined && { end }) };
}

function ruleAnswer({ at, closest }: Judged, index: PolicyIndex, facts: Facts): AnswerRule {
  const text = index.ruleAt(at)?.text;
  const head = { ...(at !== undefined && { place: at }), ...(text !== undefined && { rule: text }) };
  const { statements } = closest.rule.rule;
  if (closest.took) return { ...head, took: true, ...(closest.verdict && { verdict: closest.verdict }), held: [] };
  const held = statements.slice(0, closest.held).map((statement) => conditionText(statement, facts));
  const failing = statements[closest.held];
  if (closest.held >= closest.rule.prefixes || failing === undefined) {
    return {
      ...head,
      took: false,
      held,
      failed: 'what it counts or remembers',
      instead: 'all its matches hold; its limit, count or set said no',
    };
  }
  return { ...head, took: false, held, failed: conditionText(failing, facts), instead: insteadText(failing, facts) };
}

/** When all that is missing is an entry of a table. */
function remedyOf(misses: readonly Judged[], facts: Facts): string | undefined {
  for (const { closest } of misses) {
    const { statements } = closest.rule.rule;
    const failing = statements[closest.held];
    const accepts = statements.some((one) => 'accept' in one);
    if (!accepts || failing === undefined || !('match' in failing) || closest.held < closest.rule.prefixes - 1)
      continue;
    const { left, right, op } = failing.match;
    const field = typeof left === 'object' && 'payload' in left && 'field' in left.payload ? left.payload.field : '';
    const role = facts.manifest.sets.find(({ name }) => `@${name}` === right)?.role;
    if (op === '!=' || role?.kind !== 'table' || (field !== 'saddr' && field !== 'daddr')) continue;
    const address = field === 'saddr' ? facts.packet.source : facts.packet.destination;
    return `postern table add ${role.table} ${formatAddress(address)}`;
  }
  return undefined;
}

function dutiesOf({ copies }: Outcome, { duties }: Plan): string[] {
  return copies.map(({ group, prefix }) => {
    const duty = duties.find(({ nflogGroup }) => nflogGroup === group);
    return duty === undefined
      ? `copied to group ${group} (${prefix})`
      : `handed to the daemon: ${duty.kind} ${duty.name}`;
  });
}

/** What a scratch host can't show faithfully, as far as this policy uses it. */
function caveatsOf({ ruleset }: Plan, isLive: boolean): string[] {
  const statements = ruleset.tables.flatMap(({ chains }) =>
    chains.flatMap(({ rules }) => rules.flatMap((rule) => rule.statements)),
  );
  const uses = (kind: string): boolean =>
    JSON.stringify(statements, (_, value) => (typeof value === 'bigint' ? String(value) : value)).includes(`"${kind}"`);
  return [
    ...(isLive && (uses('limit') || uses('ct count'))
      ? ['rate limits start empty here; on the host they may already be used up']
      : []),
    'neighbours are taken as reachable; offloads and the driver are not part of it',
  ];
}

/** `tcp 203.0.113.5:40000 > 192.0.2.1:22`. */
export function packetText(packet: Packet): string {
  const ports = portsOf(packet);
  const end = (address: Packet['source'], port: number | undefined): string => {
    const text = formatAddress(address);
    if (port === undefined) return text;
    return address.family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
  };
  return `${formatProtocol(packet.protocol)} ${end(packet.source, ports?.sourcePort)} > ${end(packet.destination, ports?.destinationPort)}`;
}
