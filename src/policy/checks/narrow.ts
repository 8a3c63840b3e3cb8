/** What the matches of a rule leave possible: which protocols, which families. */

import type { Family } from '../../net/address.js';
import { formatProtocol } from '../../net/protocol.js';
import type { Action, AddressTerm, Choice, IcmpTerm, Match, Position, Rule } from '../ast.js';
import { wordOf } from '../words/lexicon.js';

/** A word of a rule that only some values of a packet's property satisfy. */
interface Demand<T> {
  readonly word: string;
  readonly at: Position;
  readonly only: ReadonlySet<T>;
}

/** What is left, and the two words that leave nothing, if so. */
export interface Narrowed<T> {
  readonly left: ReadonlySet<T>;
  readonly conflict?: { readonly at: Position; readonly message: string; readonly hint: string };
}

export const icmpProtocol = { 4: 1, 6: 58 } as const satisfies Record<Family, number>;
const tcp = 6;
const udp = 17;
/** Those whose header begins with ports: TCP, UDP, DCCP, SCTP, UDP-Lite. */
export const withPorts: ReadonlySet<number> = new Set([tcp, udp, 33, 132, 136]);

const allProtocols: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, number) => number));
const bothFamilies: ReadonlySet<Family> = new Set<Family>([4, 6]);

/** The protocols of the packets that a rule can match. */
export function protocolsOf(rule: Rule): Narrowed<number> {
  const demands = rule.matches.flatMap((match) => demand(match, protocolsOfMatch(match)));
  return narrow(allProtocols, demands, (numbers) => [...numbers].slice(0, 4).map(formatProtocol).join(' or '));
}

/** The families of the packets that a rule can match, and can do its actions to. */
export function familiesOf(rule: Rule): Narrowed<Family> {
  const demands = [
    ...rule.matches.flatMap((match) => demand(match, familiesOfMatch(match))),
    ...rule.actions.flatMap((action) => familiesOfAction(action)),
  ];
  return narrow(bothFamilies, demands, (families) => [...families].map((family) => `IPv${family}`).join(' or '));
}

function demand<T>(match: Match, only: ReadonlySet<T> | undefined): Demand<T>[] {
  return only === undefined ? [] : [{ word: wordOf(match), at: match.at, only }];
}

function narrow<T>(
  all: ReadonlySet<T>,
  demands: readonly Demand<T>[],
  show: (values: ReadonlySet<T>) => string,
): Narrowed<T> {
  let left = all;
  for (const [index, { word, at, only }] of demands.entries()) {
    const both = intersection(left, only);
    if (both.size > 0 || left.size === 0) {
      left = both;
      continue;
    }
    const earlier = demands.slice(0, index).find((one) => intersection(one.only, only).size === 0);
    const other = earlier ?? { word: 'the rest', only: left };
    const message = `"${word}" and "${other.word}" can't both match: no packet has both`;
    const hint = `"${other.word}" is ${show(other.only)}, "${word}" is ${show(only)}`;
    return { left: both, conflict: { at, message, hint } };
  }
  return { left };
}

function intersection<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...a].filter((value) => b.has(value)));
}

function protocolsOfMatch(match: Match): ReadonlySet<number> | undefined {
  switch (match.word) {
    case 'tcp':
    case 'flags':
      return new Set([tcp]);
    case 'udp':
      return new Set([udp]);
    case 'port':
    case 'short':
      return new Set([tcp, udp]);
    case 'icmp':
      return new Set([icmpProtocol[4], icmpProtocol[6]]);
    case 'proto': {
      const { any, not } = match.protocols;
      const wanted = any.length > 0 ? any : [...allProtocols];
      return new Set(wanted.filter((number) => !not.includes(number)));
    }
    default:
      return undefined;
  }
}

function familiesOfMatch(match: Match): ReadonlySet<Family> | undefined {
  switch (match.word) {
    case 'family':
      return new Set([match.family]);
    case 'from':
    case 'to':
      return match.addresses === 'any' ? undefined : union(match.addresses, familiesOfTerm);
    case 'icmp':
      return match.types === 'any' ? undefined : union(match.types, familiesOfIcmp);
    case 'proto':
      return union(match.protocols, (number) =>
        number === icmpProtocol[4] ? [4] : number === icmpProtocol[6] ? [6] : [4, 6],
      );
    default:
      return undefined;
  }
}

/** The families of what is wanted; what is not wanted limits nothing. */
function union<T>({ any }: Choice<T>, families: (member: T) => readonly Family[]): ReadonlySet<Family> | undefined {
  return any.length === 0 ? undefined : new Set(any.flatMap(families));
}

function familiesOfTerm(term: AddressTerm): readonly Family[] {
  return term.kind === 'range' ? [term.range.family] : [4, 6];
}

function familiesOfIcmp({ v4, v6 }: IcmpTerm): readonly Family[] {
  return [...(v4 === undefined ? [] : [4 as const]), ...(v6 === undefined ? [] : [6 as const])];
}

function familiesOfAction(action: Action): Demand<Family>[] {
  switch (action.action) {
    case 'snat':
    case 'dnat':
      return action.to === undefined ? [] : [{ word: action.action, at: action.at, only: new Set([action.to.family]) }];
    case 'map':
      return [{ word: 'map', at: action.at, only: new Set([action.inside.family]) }];
    default:
      return [];
  }
}
