/** The list `nat:` as nat chains: destinations change before the filter, sources after it. */

import { type ActionFragment, does } from '../../extensions/fragment.js';
import type { BaseChain } from '../../nft/model.js';
import type { Action, Rule } from '../../policy/ast.js';
import type { Place } from '../../policy/vocabulary.js';
import { compileRule, type KnownRule, type RuleCompiler } from '../rule.js';
import type { RuleSite, Standing } from '../site.js';
import { compileAction } from '../words/actions.js';
import { accepting } from '../words/verdicts.js';
import { mapped, mapping } from './map.js';
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
    for (const chain of chainsOf(rule.ast)) compiler.draft.attempt(() => compileIn(compiler, rule, chain));
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
  const conditions = rule.ast.actions.flatMap((action) =>
    action.action === 'map' ? [mapped(action, name === 'dstnat')] : [],
  );
  const target = compiler.draft.ruleset.chain(name, name, base);
  target.rules.push(...compileRule(compiler, rule, standing, { actions, conditions }).rules);
}

/** The chains of a rule: those of its translation; without one (`accept`: as it is) those that its device names. */
function chainsOf({ matches, actions }: Rule): NatChain[] {
  switch (actions.find(isTranslation)?.action) {
    case 'map':
      return ['dstnat', 'srcnat'];
    case 'masquerade':
    case 'snat':
      return ['srcnat'];
    case 'dnat':
    case 'redirect':
      return ['dstnat'];
    case undefined: {
      const words = matches.map(({ word }) => word);
      return [
        ...(words.includes('out') ? [] : ['dstnat' as const]),
        ...(words.includes('in') ? [] : ['srcnat' as const]),
      ];
    }
  }
}

const isTranslation = (action: Action): action is Translation =>
  ['masquerade', 'snat', 'dnat', 'redirect', 'map'].includes(action.action);

/** `accept` behind a translation: the filter lets the connection pass; alone: no translation. */
function natActions(actions: readonly Action[], site: RuleSite, { words }: RuleCompiler): ActionFragment[] {
  const translation = actions.find(isTranslation);
  return actions
    .flatMap((action): ActionFragment[] => {
      const own = site.from(action.at);
      if (isTranslation(action)) return [translate(action, own)];
      if (action.action !== 'accept') return [compileAction(action, own, words)];
      return [translation === undefined ? accepting : pass(translation, own)];
    })
    .sort((a, b) => Number(a.final === true) - Number(b.final === true));
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

function pass({ action }: Translation, site: RuleSite): ActionFragment {
  if (action === 'dnat' || action === 'redirect') return does(passFilter(site));
  return site.refuse(
    `accept behind ${action} has no effect: the filter has decided before the source is translated`,
    'accept the packets in forward or output',
  );
}
