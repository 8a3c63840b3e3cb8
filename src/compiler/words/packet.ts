/** Words about the packet itself, its mark, its connection and its socket. */

import { holds, type MatchFragment } from '../../extensions/fragment.js';
import { and, ct, match, matchAny, matchBits, meta, payload } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { ConntrackState, Match } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';
import { flatten, isEmpty, matchNumbers } from './choice.js';

type Word<W extends Match['word']> = Extract<Match, { word: W }>;

/** A packet of the family; the guard comes with the line. */
export const family = ({ family }: Word<'family'>): MatchFragment => ({ anyOf: [{ family, statements: [] }] });

/** Conntrack knows five states, of which a packet has one. */
const states: readonly ConntrackState[] = ['new', 'established', 'related', 'invalid', 'untracked'];

/** States, and whether the connection's addresses are translated. */
export function state({ states: { any, not } }: Word<'state'>, site: RuleSite): MatchFragment {
  const included = (any.length === 0 ? states : any).filter((name) => states.includes(name) && !not.includes(name));
  const translated = any.filter((name) => !states.includes(name) && !not.includes(name));
  if (included.length === 0 && translated.length === 0) site.refuse('the exceptions leave no state');
  const untranslated = not.filter((name) => !states.includes(name)).map((name) => matchBits(ct('status'), name, 0));
  const isAny = included.length === states.length;
  const ways: Statement[][] = [
    ...(included.length === 0 ? [] : [isAny ? [] : [matchAny(ct('state'), included)]]),
    ...(translated.length === 0 ? [] : [[matchAny(ct('status'), translated)]]),
  ];
  return { anyOf: ways.map((way) => ({ statements: [...way, ...untranslated] })) };
}

export function mark({ of, value, mask, negated }: Word<'mark'>): MatchFragment {
  const left = of === 'packet' ? meta('mark') : ct('mark');
  const op = negated ? '!=' : '==';
  return holds(mask >>> 0 === 0xffffffff ? match(left, value, op) : match(and(left, mask), value, op));
}

/** The owner of the socket that sends. */
export function owner({ word, ids }: Word<'user' | 'group'>, site: RuleSite): MatchFragment {
  const flat = flatten(ids);
  if (isEmpty(flat)) site.refuse(`the exceptions leave no ${word}`);
  return holds(...matchNumbers(meta(word === 'user' ? 'skuid' : 'skgid'), flat));
}

/** Any fragment of IPv6; of IPv4 all but the first. Only before conntrack puts them together. */
export const fragment = (): MatchFragment => ({
  anyOf: [
    { family: 4, statements: [matchBits(payload('ip', 'frag-off'), 0x1fff, 0, '!=')] },
    { family: 6, statements: [match({ exthdr: { name: 'frag' } }, true)] },
  ],
  disjoint: true,
});

/** Headers of protocols, IPv4's own of 20 bytes counted by its length field. */
const shortest = [
  { family: 4, protocol: 'tcp', number: 6, bytes: 40 },
  { family: 4, protocol: 'udp', number: 17, bytes: 28 },
  { family: 6, protocol: 'tcp', number: 6, bytes: 20 },
  { family: 6, protocol: 'udp', number: 17, bytes: 8 },
] as const;

/** Shorter than the headers that the packet must have. nft refuses two protocols in a rule: only the rule's own are asked for. */
export function short(site: RuleSite): MatchFragment {
  const own = shortest.filter(({ number }) => site.rule.protocols?.includes(number) ?? true);
  return {
    anyOf: own.map(({ family, protocol, bytes }) => {
      const length: Expression = payload(family === 4 ? 'ip' : 'ip6', 'length');
      return { family, statements: [match(meta('l4proto'), protocol), match(length, bytes, '<')] };
    }),
    disjoint: true,
  };
}
