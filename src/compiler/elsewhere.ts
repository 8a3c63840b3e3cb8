/**
 * Rules that can't do their work where the policy writes them: fragments are seen only before conntrack puts them
 * together, and `notrack` has to come before conntrack, too.
 */

import { type ActionFragment, does } from '../extensions/fragment.js';
import type { Words } from '../extensions/registry.js';
import { fib, match, notrack } from '../nft/build.js';
import type { BaseChain, Hook, Statement } from '../nft/model.js';
import type { Action, Match } from '../policy/ast.js';
import { refuse } from './draft/draft.js';
import { type CompiledRule, compileRule, type KnownRule, type RuleCompiler } from './rule.js';
import type { RuleSite, Standing } from './site.js';
import { compileAction } from './words/actions.js';
import { dropping } from './words/verdicts.js';

/** Before fragments are put together, at -400. */
const earlyChain: BaseChain = { type: 'filter', hook: 'prerouting', priority: -450, policy: 'accept' };
/** Before conntrack, at -200. */
const rawChain = (hook: Hook): BaseChain => ({ type: 'filter', hook, priority: -300, policy: 'accept' });

export const hasFragment = ({ ast }: KnownRule): boolean => ast.matches.some(({ word }) => word === 'fragment');
export const hasNotrack = ({ ast }: KnownRule): boolean => ast.actions.some(({ action }) => action === 'notrack');

/** Puts a rule about fragments where they are seen. @param hooks in which the policy has it. */
export function compileFragmentRule(compiler: RuleCompiler, known: KnownRule, hooks: readonly Hook[]): void {
  refuseWords(known, unknownEarly, 'of a fragment');
  const standing = preroutingStanding(`early_${known.chain}`, hooks);
  const actions = (list: readonly Action[], site: RuleSite) =>
    list.map((action) => earlyAction(action, site, compiler));
  compiler.draft.note(known.ast.at, 'stands in prerouting at -450, before conntrack puts fragments together');
  const { rules } = compileRule(compiler, known, standing, { actions });
  compiler.draft.ruleset.chain('early', 'early', earlyChain).rules.push(...rules);
}

function earlyAction(action: Action, site: RuleSite, { words }: RuleCompiler): ActionFragment {
  switch (action.action) {
    case 'block':
      return dropping;
    case 'accept':
    case 'reject':
    case 'return':
    case 'jump':
    case 'goto':
    case 'notrack':
      return refuse(
        action.at,
        `a fragment can't be judged by ${action.action}: the rules see the whole packet once it is put together`,
        'drop, count or log it',
      );
    default:
      return compileAction(action, site.from(action.at), words);
  }
}

/**
 * Puts the `notrack` of a rule where it works.
 * @returns the rules that stay where the policy has them: the other actions, for the untracked packets.
 */
export function compileNotrackRule(compiler: RuleCompiler, known: KnownRule, hooks: readonly Hook[]): void {
  const counts = otherActions(known.ast.actions).length === 0;
  const actions = (): ActionFragment[] => [does(notrack)];
  const outgoing = hooks.filter((hook) => hook === 'output');
  const incoming = hooks.filter((hook) => hook === 'prerouting' || hook === 'input' || hook === 'forward');
  if (outgoing.length + incoming.length < hooks.length) {
    refuse(known.ast.at, 'notrack has to come before conntrack', 'write it in prerouting or output');
  }
  refuseWords(known, incoming.length > 0 ? unknownArriving : unknownRaw, 'of a packet before conntrack has seen it');
  compiler.draft.note(known.ast.at, 'notrack stands at -300, before conntrack; the other actions stay where they are');
  const put = (hook: Hook, standing: Standing) => {
    const { rules } = compileRule(compiler, known, standing, { actions, counts });
    compiler.draft.ruleset.chain(`raw_${hook}`, `raw_${hook}`, rawChain(hook)).rules.push(...rules);
  };
  if (incoming.length > 0) put('prerouting', preroutingStanding(`raw_${known.chain}`, incoming));
  if (outgoing.length > 0) put('output', standingIn('output', `raw_out_${known.chain}`));
}

/** The word of a rule that works only before conntrack or behind the translation of addresses. */
export function rawWord({ ast }: KnownRule, words: Words): string | undefined {
  const action = ast.actions.find((candidate) => candidate.action === 'extension' && words.action(candidate.name).raw);
  return action?.action === 'extension' ? action.name : undefined;
}

/** Packets are sent by the route of where they go to behind this chain. */
const routeChain: BaseChain = { type: 'route', hook: 'output', priority: -300, policy: 'accept' };
/** Behind the translation of addresses, at 100. */
const lastChain: BaseChain = { type: 'filter', hook: 'postrouting', priority: 300, policy: 'accept' };

/** Puts a whole rule where its word works. */
export function compileRawRule(compiler: RuleCompiler, known: KnownRule, hook: Hook, word: string): void {
  const place = hook === 'output' || hook === 'postrouting' ? hook : 'prerouting';
  if (place !== 'postrouting') {
    refuseWords(known, place === 'output' ? unknownRaw : unknownArriving, 'of a packet before conntrack has seen it');
  }
  const odd = known.ast.actions.find(({ action }) => !['extension', 'count', 'log', 'account'].includes(action));
  if (odd !== undefined) refuse(odd.at, `${odd.action} can't stand with ${word}`, 'write a rule of its own for it');
  const { rules } = compileRule(compiler, known, standingIn(place, `raw_${known.chain}`));
  const [name, base] =
    place === 'prerouting'
      ? ['raw_prerouting', rawChain(place)]
      : place === 'output'
        ? ['raw_route', routeChain]
        : ['raw_postrouting', lastChain];
  compiler.draft.ruleset.chain(name, name, base).rules.push(...rules);
}

export const otherActions = (actions: readonly Action[]): Action[] =>
  actions.filter(({ action }) => action !== 'notrack');

/** What stays of a rule with `notrack` in its own place. */
export function compileUntracked(compiler: RuleCompiler, known: KnownRule, standing: Standing): CompiledRule {
  if (otherActions(known.ast.actions).length === 0) return { rules: [] };
  const actions = (list: readonly Action[], site: RuleSite) =>
    otherActions(list).map((action) => compileAction(action, site.from(action.at), compiler.words));
  return compileRule(compiler, known, standing, { actions });
}

/** In prerouting it isn't known yet which way a packet goes, but whether its destination is this host. */
function preroutingStanding(stem: string, hooks: readonly Hook[]): Standing {
  const isFor = (op: '==' | '!='): Statement => match(fib(['daddr'], 'type'), 'local', op);
  const both = hooks.includes('prerouting') || (hooks.includes('input') && hooks.includes('forward'));
  const guard = both ? [] : [isFor(hooks.includes('input') ? '==' : '!=')];
  return { ...standingIn('prerouting', stem), guard };
}

const standingIn = (place: 'prerouting' | 'output' | 'postrouting', stem: string): Standing => ({
  family: 'inet',
  places: [place],
  hooks: [place],
  stem,
  belowStateRule: false,
  chainNamed: (name, from) => from.refuse(`the rule can't go on in ${name} from here`),
});

type Unknown = (match: Match) => boolean;

const unknownRaw: Unknown = (match) =>
  match.word === 'state' || match.word === 'conns' || (match.word === 'mark' && match.of === 'connection');

const unknownArriving: Unknown = (match) =>
  unknownRaw(match) || match.word === 'via' || (match.word === 'out' && match.interfaces !== 'any');

const unknownEarly: Unknown = (match) =>
  unknownArriving(match) || ['tcp', 'udp', 'port', 'sport', 'flags', 'icmp', 'short'].includes(match.word);

function refuseWords({ ast }: KnownRule, isUnknown: Unknown, why: string): void {
  const match = ast.matches.find(isUnknown);
  if (match !== undefined)
    refuse(match.at, `${match.word} isn't known ${why}`, match.word === 'via' ? 'write in:' : undefined);
}
