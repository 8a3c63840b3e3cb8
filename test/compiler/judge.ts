/** What the policy itself says of a packet, read off its rules one by one: the slow reference for the compiler. */

import { parseAddress } from '../../src/net/address.js';
import { rangeContains } from '../../src/net/prefix.js';
import { flattenNested, rangePrefixes } from '../../src/net/ranges.js';
import type { AddressTerm, Chain, Choice, Match, NumberRange, Policy, Rule } from '../../src/policy/ast.js';
import type { Packet } from './evaluate.js';

export interface Judgement {
  readonly verdict: 'accept' | 'drop';
  /** Texts of the rules that took the packet, in order, each as often as it did. */
  readonly taken: readonly string[];
  /** `+table` or `-table` for each element that a rule adds or deletes. */
  readonly changes: readonly string[];
}

/** The verdict of `chain` for a packet, with the rules of `filter` behind its own. */
export function judge(policy: Policy, name: 'input' | 'forward' | 'output', packet: Packet): Judgement {
  const taken: string[] = [];
  const changes: string[] = [];
  const chains = [policy.chains.get(name), policy.chains.get('filter')].filter((chain) => chain !== undefined);
  const rules = chains.flatMap((chain) => chain.rules).filter((rule) => stands(rule, name));
  const says = rules.some((rule) => acceptsKnown(rule, policy));
  const known = packet.state === 'established' || packet.state === 'related';
  const onlyCount = ({ actions }: Rule) => actions.every(({ action }) => action === 'count');
  const first = says ? rules.length : rules.findIndex((rule) => !onlyCount(rule));
  const walk = (list: readonly Rule[]): 'accept' | 'drop' | 'return' | undefined => {
    for (const rule of list) {
      if (!says && known && rule === rules[first]) return 'accept';
      if (!stands(rule, name)) continue;
      if (!rule.matches.every((match) => holds(match, rule, policy, packet))) continue;
      if (!opens(rule, packet)) continue;
      taken.push(rule.text);
      for (const action of rule.actions) {
        if (action.action === 'accept') return 'accept';
        if (action.action === 'drop' || action.action === 'block') return 'drop';
        if (action.action === 'return') return 'return';
        if (action.action === 'add') changes.push(`+${action.table}`);
        if (action.action === 'delete') changes.push(`-${action.table}`);
        if (action.action === 'jump' || action.action === 'goto') {
          const end = walk((policy.chains.get(action.chain) as Chain).rules);
          if (end === 'accept' || end === 'drop') return end;
          if (action.action === 'goto') return 'return';
        }
      }
    }
    return undefined;
  };
  const end = walk(rules) ?? (!says && known ? 'accept' : undefined);
  const otherwise = chains.find((chain) => chain.policy !== undefined)?.policy ?? 'accept';
  return {
    verdict: end === 'accept' || end === 'drop' ? end : otherwise === 'accept' ? 'accept' : 'drop',
    taken,
    changes,
  };
}

/** Is it a rule about known connections, or does it always jump to one? */
function acceptsKnown({ matches, actions }: Rule, policy: Policy): boolean {
  const state = matches.some((match) => match.word === 'state' && match.states.any.includes('established'));
  const only = matches.every(({ word }) => ['state', 'in', 'out', 'via', 'family'].includes(word));
  return actions.some((action) => {
    if (action.action === 'accept') return state && only;
    if (action.action !== 'jump' || matches.length > 0) return false;
    return policy.chains.get(action.chain)!.rules.some((rule) => acceptsKnown(rule, policy));
  });
}

/** Does the rule of `filter` stand in the hook at all? */
function stands({ matches }: Rule, hook: string): boolean {
  return matches.every((match) => {
    if (match.word === 'in') return hook !== 'output';
    if (match.word === 'out') return hook !== 'input';
    if (match.word !== 'from' && match.word !== 'to') return true;
    if (match.addresses === 'any' || match.addresses.any.length === 0) return true;
    return hook !== 'forward' || !match.addresses.any.every(({ kind }) => kind === 'me');
  });
}

/** `accept` of a rule about TCP takes first packets only. */
function opens({ matches, actions }: Rule, { protocol, flags }: Packet): boolean {
  const said = matches.some(({ word }) => word === 'flags' || word === 'state');
  const names = matches.some(
    (match) =>
      match.word === 'tcp' || match.word === 'port' || (match.word === 'proto' && match.protocols.any.includes(6)),
  );
  const accepts = actions.some(({ action }) => action === 'accept');
  return protocol !== 6 || said || !names || !accepts || (flags & 0x12) === 0x02;
}

function chosen<T>({ any, not }: Choice<T>, is: (member: T) => boolean): boolean {
  return (any.length === 0 || any.some(is)) && !not.some(is);
}

const within = (value: number) => (range: NumberRange) => value >= range.first && value <= range.last;

function holds(match: Match, rule: Rule, policy: Policy, packet: Packet): boolean {
  switch (match.word) {
    case 'in':
      return match.interfaces === 'any' || chosen(match.interfaces, ({ device }) => device === packet.in);
    case 'out':
      return match.interfaces === 'any' || chosen(match.interfaces, ({ device }) => device === packet.out);
    case 'via': {
      const sides = [packet.in, packet.out];
      const { interfaces } = match;
      if (interfaces === 'any') return true;
      const is = (term: { readonly device: string }) => sides.includes(term.device);
      return chosen(interfaces, is);
    }
    case 'from':
    case 'to':
      return addressHolds(match, policy, packet);
    case 'family':
      return match.family === packet.family;
    case 'proto':
      return chosen(match.protocols, (protocol) => protocol === packet.protocol);
    case 'tcp':
      return packet.protocol === 6 && (match.ports === 'any' || chosen(match.ports, within(packet.dport)));
    case 'udp':
      return packet.protocol === 17 && (match.ports === 'any' || chosen(match.ports, within(packet.dport)));
    case 'port': {
      const has = packet.protocol === 6 || packet.protocol === 17;
      return has && (match.ports === 'any' || chosen(match.ports, within(packet.dport)));
    }
    case 'sport':
      return match.ports === 'any' || chosen(match.ports, within(packet.sport));
    case 'icmp': {
      if (packet.protocol !== (packet.family === 4 ? 1 : 58)) return false;
      if (match.types === 'any') return true;
      return chosen(match.types, ({ v4, v6 }) => {
        const term = packet.family === 4 ? v4 : v6;
        return term?.type === packet.icmp.type && (term.code === undefined || term.code === packet.icmp.code);
      });
    }
    case 'flags':
      return (
        packet.protocol === 6 &&
        (match.flags === 'any' || match.flags.some(({ mask, value }) => (packet.flags & mask) === value))
      );
    case 'state':
      return chosen(match.states, (state) => state === packet.state);
    default:
      throw new Error(`not known here: ${match.word} of ${rule.text}`);
  }
}

type AddressMatch = Extract<Match, { word: 'from' | 'to' }>;

function addressHolds({ word, addresses }: AddressMatch, policy: Policy, packet: Packet): boolean {
  if (addresses === 'any') return true;
  const address = parseAddress(word === 'from' ? packet.source : packet.destination);
  const is = (term: AddressTerm): boolean => {
    if (term.kind === 'range') return rangeContains(term.range, address);
    if (term.kind === 'me') return word === 'from' ? packet.fromMe : packet.toMe;
    if (term.kind !== 'table') throw new Error(`not known here: ${term.kind}`);
    const { entries } = policy.tables.get(term.table)!;
    const nested = entries.flatMap(({ range, not }) => rangePrefixes(range).map((prefix) => ({ prefix, not })));
    return flattenNested(nested).some((range) => rangeContains(range, address));
  };
  // Addresses of one family alone are about that family.
  const terms = addresses.any.length > 0 ? addresses.any : addresses.not;
  const about = terms.some((term) => term.kind !== 'range' || term.range.family === packet.family);
  return about && chosen(addresses, is);
}
