/** The list `nat:` as nat chains: destinations change before the filter, sources after it. */

import { type ActionFragment, does } from '../../extensions/fragment.js';
import type { BaseChain } from '../../nft/model.js';
import type { Action, Rule } from '../../policy/ast.js';
import type { Place } from '../../policy/vocabulary.js';
import { refuse } from '../draft/draft.js';
import { compileRule, type KnownRule, type RuleCompiler } from '../rule.js';
import type { RuleSite, Standing } from '../site.js';
import { compileAction } from '../words/actions.js';
import { accepting } from '../words/verdicts.js';
import { mapping } from './map.js';
import { passFilter } from './pass.js';
import { destination, redirection, source } from './translate.js';

/** Where a translation happens. */
type NatChain = 'dstnat' | 'srcnat';

const chains: Readonly<Record<NatChain, { readonly base: BaseChain; readonly place: Place }>> = {
  dstnat: { base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' }, place: 'prerouting' },
  srcnat: { base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' }, place: 'postrouting' },
};

export type Translation = Extract<Action, { action: 'masquerade' | 'snat' | 'dnat' | 'redirect' | 'map' }>;

export function compileNat(compiler: RuleCompiler, rules: readonly KnownRule[]): void {
  for (const rule of rules) {
    compiler.draft.attempt(() => {
      for (const chain of chainsOf(rule.ast)) compileIn(compiler, rule, chain);
    });
  }
}

function compileIn(compiler: RuleCompiler, rule: KnownRule, name: NatChain): void {
  const { base, place } = chains[name];
  const standing: Standing = {
    family: 'inet',
    places: [place, 'nat'],
    hooks: [base.hook],
    stem: name,
    belowStateRule: false,
    chainNamed: (chain, from) => from.refuse(`rules of nat: can't go on in ${chain}`),
  };
  const actions = (list: readonly Action[], site: RuleSite) => natActions(list, site, compiler);
  const target = compiler.draft.ruleset.chain(name, name, base);
  target.rules.push(...compileRule(compiler, rule, standing, { actions }).rules);
}

/** The chains of a rule: those of its translation; without one (`accept`: no translation) those that its device names. */
function chainsOf({ matches, actions, at }: Rule): NatChain[] {
  const translations = actions.filter(isTranslation);
  const [first, second] = translations;
  if (second !== undefined) return refuse(second.at, 'one rule translates once', 'write a rule for each translation');
  const leaves = matches.some(({ word }) => word === 'out');
  const arrives = matches.some(({ word }) => word === 'in');
  switch (first?.action) {
    case 'map':
      return ['dstnat', 'srcnat'];
    case 'masquerade':
    case 'snat':
      return ['srcnat'];
    case 'dnat':
    case 'redirect':
      return ['dstnat'];
    case undefined: {
      if (actions.every(({ action }) => action !== 'accept')) {
        return refuse(
          at,
          'this rule translates nothing',
          'end it with masquerade, snat, dnat, redirect, map, or accept for no translation',
        );
      }
      return [...(leaves ? [] : ['dstnat' as const]), ...(arrives ? [] : ['srcnat' as const])];
    }
  }
}

const isTranslation = (action: Action): action is Translation =>
  ['masquerade', 'snat', 'dnat', 'redirect', 'map'].includes(action.action);

function natActions(actions: readonly Action[], site: RuleSite, { words }: RuleCompiler): ActionFragment[] {
  const passes = actions.some(isTranslation) && actions.some(({ action }) => action === 'accept');
  return actions.flatMap((action): ActionFragment[] => {
    const own = site.from(action.at);
    if (isTranslation(action)) {
      const translation = translate(action, own);
      return passes ? [pass(action, translation, own), translation] : [translation];
    }
    if (action.action === 'accept') return passes ? [] : [accepting];
    if (['count', 'log', 'mark', 'add', 'delete', 'account', 'extension'].includes(action.action)) {
      return [compileAction(action, own, words)];
    }
    return refuse(action.at, `${action.action} can't stand in nat:`, 'filter in chains:');
  });
}

function translate(action: Translation, site: RuleSite): ActionFragment {
  switch (action.action) {
    case 'map':
      return mapping(action, site);
    case 'dnat':
      return destination(action, site);
    case 'redirect':
      return redirection(action, site);
    case 'masquerade':
    case 'snat':
      return source(action, site);
  }
}

/** The filter lets pass what a destination rule accepts. */
function pass({ action }: Translation, { families }: ActionFragment, site: RuleSite): ActionFragment {
  if (action === 'masquerade' || action === 'snat' || (action === 'map' && site.runsIn('postrouting'))) {
    if (action === 'map') return { lines: [], inline: true };
    return site.refuse(
      `accept behind ${action} has no effect: the filter has decided before the source is translated`,
      'accept the packets in forward or output',
    );
  }
  return { ...does(passFilter(site)), ...(families && { families }) };
}
