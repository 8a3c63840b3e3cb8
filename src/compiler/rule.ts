/** One rule of the policy: its words become fragments, and those are woven into nft rules. */

import { type ActionFragment, does, holds } from '../extensions/fragment.js';
import type { Words } from '../extensions/registry.js';
import type { RuleFacts } from '../extensions/site.js';
import type { Family } from '../net/address.js';
import { counter } from '../nft/build.js';
import type { Rule as NftRule } from '../nft/model.js';
import type { Action, Match, Rule } from '../policy/ast.js';
import type { MakeChain } from './body.js';
import { type Draft, refuse } from './draft/draft.js';
import { originOf, shortOrigin } from './draft/origin.js';
import type { ChainDraft } from './draft/ruleset.js';
import { ruleOf } from './line.js';
import { RuleSite, type Standing } from './site.js';
import { bothFamilies, type Condition, familiesOf, weave } from './weave.js';
import { compileAction, seesEveryPacket } from './words/actions.js';
import { addresses } from './words/addresses.js';
import { icmp } from './words/icmp.js';
import { interfaces } from './words/interfaces.js';
import { connections, rateLimit } from './words/limits.js';
import { family, fragment, mark, owner, short, state } from './words/packet.js';
import { transport } from './words/transport.js';

/** A rule and what is known of it in all hooks. */
export interface KnownRule {
  readonly ast: Rule;
  readonly id: string;
  /** The chain as the policy names it. */
  readonly chain: string;
  /** From 1. */
  readonly number: number;
}

export interface RuleCompiler {
  readonly draft: Draft;
  readonly words: Words;
}

export interface RuleOptions {
  /** Instead of the plain compilation of the actions. */
  readonly actions?: (actions: readonly Action[], site: RuleSite) => readonly ActionFragment[];
  /** What must hold besides the matches. */
  readonly conditions?: readonly Condition[];
  /** False where another part of the rule counts. */
  readonly counts?: boolean;
}

export interface CompiledRule {
  readonly rules: readonly NftRule[];
  /** Where the rules behind it go; to the same chain when absent. */
  readonly rest?: ChainDraft;
}

/** The nft rules of a policy rule where it stands; their chains go to the draft. */
export function compileRule(
  { draft, words }: RuleCompiler,
  known: KnownRule,
  standing: Standing,
  { actions = eachAction(words), conditions: more = [], counts = true }: RuleOptions = {},
): CompiledRule {
  const { ast } = known;
  const opens = opensConnections(ast, standing);
  const l4 = transport(ast, opens);
  const looks = ast.matches.flatMap((match) => coreLook(match, siteOf(match)));
  const guard = standing.guard === undefined ? [] : [{ fragment: holds(...standing.guard) }];
  const transported = l4.fragment === undefined ? [] : [{ fragment: l4.fragment }];
  const conditions: Condition[] = [...looks, ...transported, ...more, ...guard];
  const families = common(conditions, ast);
  const facts: RuleFacts = {
    id: known.id,
    chain: known.chain,
    number: known.number,
    text: ast.text,
    families,
    ...(l4.protocols && { protocols: l4.protocols }),
  };
  const site = new RuleSite(draft, ast.at, known.id, standing, facts, ast);
  if (opens && l4.protocols?.includes(6)) {
    site.note('of TCP it takes the packets that open a connection (flags S/SA); the others are known by their state');
  }
  conditions.push(...ast.matches.flatMap((match) => extensionMatch(match, site, words)));
  conditions.push(...ast.matches.flatMap((match) => memory(match, site.from(match.at))));
  const body = [...(counts ? [does(counter(ruleCounter(site)))] : []), ...actions(ast.actions, site)];
  const left = common(conditions, ast, body);
  const makeChain = chainsOf(draft, known, standing);
  const table = standing.family;
  const comment = shortOrigin(ast.at);
  const { lines, rest } = weave(conditions, body, left, makeChain);
  return {
    rules: lines.map((line) => ruleOf(line, originOf(ast.at), table, comment)),
    ...(rest && { rest: draft.ruleset.chains(table).find(({ name }) => name === rest.name)! }),
  };

  function siteOf(match: Match): RuleSite {
    const early: RuleFacts = {
      ...{ id: known.id, chain: known.chain, number: known.number, text: ast.text },
      families: bothFamilies,
      ...(l4.protocols && { protocols: l4.protocols }),
    };
    return new RuleSite(draft, match.at, known.id, standing, early, ast);
  }
}

const eachAction =
  (words: Words) =>
  (actions: readonly Action[], site: RuleSite): readonly ActionFragment[] =>
    actions.map((action) => compileAction(action, site.from(action.at), words));

/** A rule that accepts TCP takes the packets that open a connection; the others are known by their state. */
function opensConnections({ matches, actions }: Rule, { hooks }: Standing): boolean {
  const judged = hooks.every((hook) => hook === 'input' || hook === 'forward' || hook === 'output');
  const own = matches.some(({ word }) => word === 'state' || word === 'flags' || word === 'fragment');
  return (
    judged &&
    !own &&
    actions.some(({ action }) => action === 'accept') &&
    !actions.some(({ action }) => action === 'notrack')
  );
}

/** The matches that only look at the packet and what is known of it. */
function coreLook(match: Match, site: RuleSite): Condition[] {
  switch (match.word) {
    case 'in':
    case 'out':
    case 'via':
      return [{ fragment: interfaces(match, site) }];
    case 'from':
    case 'to':
      return [{ fragment: addresses(match, site) }];
    case 'family':
      return [{ fragment: family(match) }];
    case 'icmp':
      return [{ fragment: icmp(match) }];
    case 'state':
      return [{ fragment: state(match, site) }];
    case 'mark':
      return [{ fragment: mark(match) }];
    case 'user':
    case 'group':
      return [{ fragment: owner(match, site) }];
    case 'fragment':
      return [{ fragment: fragment() }];
    case 'short':
      return [{ fragment: short(site) }];
    default:
      return [];
  }
}

function extensionMatch(match: Match, site: RuleSite, words: Words): Condition[] {
  if (match.word !== 'extension') return [];
  const compiler = words.match(match.name);
  const own = site.from(match.at, match.name);
  if (compiler.everyPacket) seesEveryPacket(match.name, own);
  if (match.negated && compiler.compileNot !== undefined) return [{ fragment: compiler.compileNot(match.spec, own) }];
  return [{ fragment: compiler.compile(match.spec, own), negated: match.negated }];
}

/** The matches that remember: they come last, for packets that match otherwise. */
function memory(match: Match, site: RuleSite): Condition[] {
  if (match.word === 'limit') return [{ fragment: rateLimit(match, site) }];
  if (match.word === 'conns') return [{ fragment: connections(match, site) }];
  return [];
}

/** The families of packets that all of the rule is about. */
function common(
  conditions: readonly Condition[],
  { at }: Rule,
  body: readonly ActionFragment[] = [],
): readonly Family[] {
  const all = [
    ...conditions.map(familiesOf),
    ...body.flatMap(({ families }) => (families === undefined ? [] : [families])),
  ];
  const left = bothFamilies.filter((candidate) => all.every((families) => families.includes(candidate)));
  if (left.length === 0)
    refuse(at, 'no packet is both IPv4 and IPv6: one part of this rule is about each', 'write two rules');
  return left;
}

const ruleCounter = (site: RuleSite): string =>
  site.object({
    kind: 'counter',
    role: {
      kind: 'rule',
      rule: site.rule.id,
      chain: site.rule.chain,
      text: site.rule.text,
      origin: originOf(site.ast.at),
    },
  });

/** Chains of a rule are named after where it stands and its number: `input_3`, `input_3_2`, `input_3_do`. */
function chainsOf({ ruleset }: Draft, known: KnownRule, { stem, family: table }: Standing): MakeChain {
  const origin = originOf(known.ast.at);
  return (part) => {
    const wanted = `${stem}_${known.number}${part === 1 ? '' : `_${part}`}`;
    const { name, rules } = ruleset.chain(wanted, `rule ${wanted}`, undefined, table);
    return { name, fill: (lines) => rules.push(...lines.map((line) => ruleOf(line, origin, table))) };
  };
}
