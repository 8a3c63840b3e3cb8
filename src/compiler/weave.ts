/**
 * Weaves the fragments of one policy rule into nft rules. Where all of it fits into one line a family, it is that line;
 * where a word has several ways to match, or an action several lines, chains are made, so that every packet meets each
 * word once and the action at most once.
 */

import type { ActionFragment, Line, MatchFragment } from '../extensions/fragment.js';
import type { Family } from '../net/address.js';
import { goto, jump, returnVerdict } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { type Body, bodyOf, type MakeChain, type NewChain } from './body.js';
import { agreesOnProtocol, isFor, joinLines } from './line.js';

/** A match of the rule, perhaps to be inverted. */
export interface Condition {
  readonly fragment: MatchFragment;
  readonly negated?: boolean;
}

export interface Woven {
  /** The lines that stand in the chain of the policy. */
  readonly lines: readonly Line[];
  /** Where the rules behind this one stand; in the same chain when absent. */
  readonly rest?: NewChain;
}

export const bothFamilies: readonly Family[] = [4, 6];

/** Families of packets that can match. */
export function familiesOf({ fragment, negated }: Condition): readonly Family[] {
  if (negated) return bothFamilies;
  if ('decide' in fragment) return fragment.families ?? bothFamilies;
  return bothFamilies.filter((family) => fragment.anyOf.some((line) => isFor(line, family)));
}

/** More rules than this for one rule of the policy are put into chains. */
const mostLines = 8;

const isOneRuleEach = (lines: readonly Line[]): boolean =>
  lines.length <= mostLines && lines.every((line) => agreesOnProtocol(line));

/** @param families of packets that the rule is for; conditions and actions have been asked. */
export function weave(
  conditions: readonly Condition[],
  actions: readonly ActionFragment[],
  families: readonly Family[],
  makeChain: MakeChain,
): Woven {
  const { heads, stages } = arrange(conditions, families);
  const body = bodyOf(actions, families);
  if (stages.length === 0) return { lines: finish(heads, body, makeChain) };
  const only = stages.length === 1 ? waysOf(stages[0]!, families) : undefined;
  if (body.isFinal && only !== undefined) {
    const lines = product(heads, only);
    if (isOneRuleEach(lines)) return { lines: finish(lines, body, makeChain) };
  }
  return inStages(heads, stages, body, families, makeChain);
}

/**
 * A chain for each stage. From there `return` and `goto` come back to the policy's chain; where the policy means by them
 * the end of that chain, packets go there for good, and those that don't match go on to the rest of the rules.
 */
function inStages(
  heads: readonly Line[],
  stages: readonly Condition[],
  body: Body,
  families: readonly Family[],
  makeChain: MakeChain,
): Woven {
  const chains = stages.map((_, index) => makeChain(index + 1));
  const matched = body.matched(makeChain);
  const rest = body.leaves ? makeChain('rest') : undefined;
  const others = [rest === undefined ? returnVerdict : goto(rest.name)];
  stages.forEach((stage, index) => {
    const next = chains[index + 1];
    const then = next === undefined ? matched : [goto(next.name)];
    const lines = stageLines(stage, then, others).filter((line) => families.some((family) => isFor(line, family)));
    chains[index]!.fill(rest === undefined ? lines : [...lines, { statements: others }]);
  });
  const enter = rest === undefined ? jump(chains[0]!.name) : goto(chains[0]!.name);
  const lines = heads.map((head) => joinLines(head, { statements: [enter] }));
  return rest === undefined ? { lines } : { lines: [...lines, { statements: others }], rest };
}

const finish = (lines: readonly Line[], body: Body, makeChain: MakeChain): Line[] => {
  const end = body.asLine(makeChain);
  return lines.map((line) => joinLines(line, end));
};

/**
 * What no packet can match twice stands in front, one line for each way. The rest is decided in chains: what only
 * looks first, what remembers last.
 */
function arrange(
  conditions: readonly Condition[],
  families: readonly Family[],
): { heads: Line[]; stages: Condition[] } {
  const looking = conditions.filter(({ fragment }) => !fragment.stateful);
  const remembering = conditions.filter(({ fragment }) => fragment.stateful);
  let heads: Line[] = [{ statements: [] }];
  const stages: Condition[] = [];
  for (const condition of [...looking, ...remembering]) {
    const mayLead = !condition.fragment.stateful || stages.length === 0;
    const ways = mayLead ? disjointWays(condition, families) : undefined;
    const lines = ways && product(heads, ways);
    if (lines !== undefined && isOneRuleEach(lines)) heads = lines;
    else stages.push(condition);
  }
  return { heads, stages };
}

/** The lines of which any is enough; undefined for what decides in a chain. */
function waysOf({ fragment, negated }: Condition, families: readonly Family[]): readonly Line[] | undefined {
  if (negated || 'decide' in fragment) return undefined;
  return fragment.anyOf.filter((line) => families.some((family) => isFor(line, family)));
}

/** The same, when no packet matches two of them. */
function disjointWays(condition: Condition, families: readonly Family[]): readonly Line[] | undefined {
  const ways = waysOf(condition, families);
  if (ways === undefined || ('disjoint' in condition.fragment && condition.fragment.disjoint)) return ways;
  const isOne = families.every((family) => ways.filter((line) => isFor(line, family)).length === 1);
  return isOne ? ways : undefined;
}

/** Every line of the one with every line of the other, unless they are about different families. */
const product = (heads: readonly Line[], ways: readonly Line[]): Line[] =>
  heads.flatMap((head) =>
    ways.filter((way) => head.family === undefined || isFor(way, head.family)).map((way) => joinLines(head, way)),
  );

/** The rules of a chain that runs `matched` for packets that match and `others`, or comes to its end, for all others. */
function stageLines(
  { fragment, negated }: Condition,
  matched: readonly Statement[],
  others: readonly Statement[],
): Line[] {
  const [then, otherwise] = negated ? [others, matched] : [matched, others];
  const lines =
    'decide' in fragment
      ? fragment.decide(then, otherwise)
      : fragment.anyOf.map((line) => joinLines(line, { statements: then }));
  return negated ? [...lines, { statements: matched }] : [...lines];
}
