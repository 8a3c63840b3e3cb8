/** Layer 4: `proto`, `tcp`, `udp`, `port`, `sport` and `flags` together, as one decides what the others need. */

import type { Line, MatchFragment } from '../../extensions/fragment.js';
import { and, match, meta, oneOf, or, payload, tcp } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { FlagTest, Match, Rule } from '../../policy/ast.js';
import { refuse } from '../draft/draft.js';
import { protocolName } from '../line.js';
import { type FlatChoice, flatten, flattenNumbers, isEmpty, matchNumbers } from './choice.js';

const TCP = 6;
const UDP = 17;

export interface Transport {
  /** The protocols that the rule is limited to; absent: any. */
  readonly protocols?: readonly number[];
  /** Absent when the rule says nothing of layer 4. */
  readonly fragment?: MatchFragment;
}

type Of<W extends Match['word']> = Extract<Match, { word: W }>;
const wordsOf = <W extends Match['word']>(rule: Rule, ...words: readonly W[]): Of<W>[] =>
  rule.matches.filter((match): match is Of<W> => (words as readonly string[]).includes(match.word));

/** SYN without ACK: the first packet of a connection. */
const firstPacket: FlagTest = { mask: 0x12, value: 0x02 };

/** @param onlyFirst of tcp only packets that open a connection, where the policy says nothing of flags. */
export function transport(rule: Rule, onlyFirst: boolean): Transport {
  const protocols = protocolsOf(rule);
  const [flagWord] = wordsOf(rule, 'flags');
  const tests = flagWord === undefined && onlyFirst ? [firstPacket] : (flagWord?.flags ?? 'any');
  if (protocols === undefined) return otherProtocols(rule);
  const withFlags = protocols.includes(TCP) && tests !== 'any' ? tests : undefined;
  const groups = withFlags === undefined ? [protocols] : [[TCP], protocols.filter((protocol) => protocol !== TCP)];
  const anyOf = groups
    .filter((group) => group.length > 0)
    .flatMap((group) => linesOf(rule, group, group.includes(TCP) ? withFlags : undefined));
  return { protocols, fragment: { anyOf, disjoint: withFlags === undefined || flagMatches(withFlags).length === 1 } };
}

/** Without a word that names protocols, or with a `proto: not …` alone. */
function otherProtocols(rule: Rule): Transport {
  const choices = wordsOf(rule, 'proto').map((word) => flattenNumbers(word.protocols));
  if (choices.length === 0) return {};
  const statements = choices.flatMap((choice) => matchNumbers(meta('l4proto'), choice, protocolName));
  return { fragment: { anyOf: [{ statements }] } };
}

/** The protocols of which one must hold, by all words; undefined when any may. The reader has seen that some are left. */
function protocolsOf(rule: Rule): number[] | undefined {
  const sets = rule.matches.flatMap((word) => {
    const protocols = protocolsOfWord(word);
    return protocols === undefined ? [] : [protocols];
  });
  const [first, ...others] = sets;
  if (first === undefined) return undefined;
  const excluded = wordsOf(rule, 'proto').flatMap(({ protocols }) => protocols.not);
  return first.filter((protocol) => !excluded.includes(protocol) && others.every((set) => set.includes(protocol)));
}

function protocolsOfWord(word: Match): readonly number[] | undefined {
  switch (word.word) {
    case 'tcp':
      return [TCP];
    case 'udp':
      return [UDP];
    case 'port':
      return [TCP, UDP];
    case 'flags':
      return word.flags === 'any' ? undefined : [TCP];
    case 'proto': {
      const { negated, ranges } = flattenNumbers(word.protocols);
      return negated ? undefined : ranges.flatMap(({ first, last }) => numbersFrom(first, last));
    }
    default:
      return undefined;
  }
}

const numbersFrom = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The lines for protocols that have the same conditions: one, or one for each way to have the flags. */
function linesOf(rule: Rule, protocols: readonly number[], tests: readonly FlagTest[] | undefined): Line[] {
  const ports = [...portMatches(rule, protocols)];
  const flags = tests === undefined ? [[]] : flagMatches(tests);
  return flags.map((flag): Line => {
    const statements = [...ports, ...flag];
    const isSaid = flag.length > 0 || (ports.length > 0 && nameOf(protocols) !== 'th');
    const protocol = match(meta('l4proto'), oneOf(protocols.map(protocolName)));
    return { statements: isSaid ? statements : [protocol, ...statements] };
  });
}

function portMatches(rule: Rule, protocols: readonly number[]): Statement[] {
  const name = nameOf(protocols);
  return wordsOf(rule, 'tcp', 'udp', 'port', 'sport').flatMap((word) => {
    const ports: FlatChoice = word.ports === 'any' ? { negated: true, ranges: [] } : flatten(word.ports);
    if (isEmpty(ports)) refuse(word.at, 'the exceptions leave no port');
    return matchNumbers(payload(name, word.word === 'sport' ? 'sport' : 'dport'), ports);
  });
}

const named = new Map([
  [TCP, 'tcp'],
  [UDP, 'udp'],
  [33, 'dccp'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

/** Where the ports are: in the header of the one protocol, or at the place that all have in common. */
const nameOf = (protocols: readonly number[]): string =>
  protocols.length === 1 ? (named.get(protocols[0]!) ?? 'th') : 'th';

/** Ways to have the flags. */
function flagMatches(tests: readonly FlagTest[]): Statement[][] {
  const union = tests.reduce((bits, { mask }) => bits | mask, 0);
  // Each asks for a bit that is set: any of them is enough.
  if (tests.length > 1 && tests.every(({ mask, value }) => mask === value && isPowerOfTwo(mask))) {
    return [[match(and(tcp('flags'), bits(union)), 0, '!=')]];
  }
  return tests.map(({ mask, value }) => [match(and(tcp('flags'), bits(mask)), bits(value))]);
}

const isPowerOfTwo = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;

const flagNames = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ecn', 'cwr'];

/** `syn | ack`; 0 for none. */
export function bits(value: number): Expression {
  const [first, second, ...more] = flagNames.filter((_, bit) => (value & (1 << bit)) !== 0);
  if (first === undefined) return 0;
  return second === undefined ? first : or(first, second, ...more);
}
