/**
 * Rules that can't do their work where the policy writes them: fragments are seen only before conntrack puts them
 * together, and `notrack` has to come before conntrack, too. What else such a rule may say the reader has checked.
 */

import { does } from '../extensions/fragment.js';
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
  const { draft, words } = compiler;
  const mark = known.ast.matches.find((word) => word.word === 'mark' && word.of === 'connection');
  if (mark !== undefined) refuse(mark.at, 'a fragment has no connection yet', 'use the mark of the packet');
  draft.note(known.ast.at, 'stands in prerouting at -450, before conntrack puts fragments together');
  // Of a fragment there is nothing to answer to.
  const actions = (list: readonly Action[], site: RuleSite) =>
    list.map((action) => (action.action === 'block' ? dropping : compileAction(action, site.from(action.at), words)));
  const standing = standingIn('prerouting', `early_${known.chain}`, destinationIn(hooks));
  const { rules } = compileRule(compiler, known, standing, { actions });
  draft.ruleset.chain('early', 'early', earlyChain).rules.push(...rules);
}

/** In prerouting it isn't known yet which way a packet goes, but whether its destination is this host. */
function destinationIn(hooks: readonly Hook[]): readonly Statement[] {
  const both = hooks.includes('prerouting') || (hooks.includes('input') && hooks.includes('forward'));
  return both ? [] : [match(fib(['daddr'], 'type'), 'local', hooks.includes('input') ? '==' : '!=')];
}

/** Puts the `notrack` of a rule where it works. */
export function compileNotrack(compiler: RuleCompiler, known: KnownRule, hook: 'prerouting' | 'output'): void {
  compiler.draft.note(known.ast.at, 'notrack stands at -300, before conntrack; the other actions stay where they are');
  const counts = otherActions(known.ast.actions).length === 0;
  const standing = standingIn(hook, `raw_${hook}`, []);
  const { rules } = compileRule(compiler, known, standing, { actions: () => [does(notrack)], counts });
  compiler.draft.ruleset.chain(`raw_${hook}`, `raw_${hook}`, rawChain(hook)).rules.push(...rules);
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
  const unknown = known.ast.matches.find((word) => isUnknown(word, place));
  if (unknown !== undefined) {
    refuse(unknown.at, `${unknown.word} isn't known of a packet before conntrack has seen it`, 'leave it out');
  }
  const odd = known.ast.actions.find(({ action }) => !['extension', 'count', 'log', 'account'].includes(action));
  if (odd !== undefined) refuse(odd.at, `${odd.action} can't stand with ${word}`, 'write a rule of its own for it');
  const { rules } = compileRule(compiler, known, standingIn(place, `raw_${known.chain}`, []));
  const [name, base] =
    place === 'prerouting'
      ? ['raw_prerouting', rawChain(place)]
      : place === 'output'
        ? ['raw_route', routeChain]
        : ['raw_postrouting', lastChain];
  compiler.draft.ruleset.chain(name, name, base).rules.push(...rules);
}

/** Behind conntrack everything is known. */
function isUnknown(word: Match, place: 'prerouting' | 'output' | 'postrouting'): boolean {
  if (place === 'postrouting') return false;
  const leaves = word.word === 'out' || word.word === 'via';
  const tracked = word.word === 'state' || word.word === 'conns' || (word.word === 'mark' && word.of === 'connection');
  return tracked || (leaves && place === 'prerouting' && word.interfaces !== 'any');
}

const otherActions = (actions: readonly Action[]): Action[] => actions.filter(({ action }) => action !== 'notrack');

/** What stays of a rule with `notrack` in its own place: its other actions, for the untracked packets. */
export function compileUntracked(compiler: RuleCompiler, known: KnownRule, standing: Standing): CompiledRule {
  if (otherActions(known.ast.actions).length === 0) return { rules: [] };
  const actions = (list: readonly Action[], site: RuleSite) =>
    otherActions(list).map((action) => compileAction(action, site.from(action.at), compiler.words));
  return compileRule(compiler, known, standing, { actions });
}

const standingIn = (
  place: 'prerouting' | 'output' | 'postrouting',
  stem: string,
  guard: readonly Statement[],
): Standing => ({
  family: 'inet',
  places: [place],
  hooks: [place],
  stem,
  belowStateRule: false,
  guard,
  chainNamed: (name, from) => from.refuse(`packets can't go to ${name} from here`, 'write a rule of its own'),
});
