/**
 * Every match with every other and with every target, in every chain: either nft takes and lists what the rule compiles
 * to, or its line says what can't be there and what can. Needs root.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderRuleset } from '../../src/nft/render.js';
import { chains, judge, matchedActions, missingWords, otherPairs, pairs, ruleText } from '../compiler/combinations.js';
import { namespace } from './namespace.js';

test('all words of the language are combined', () => assert.deepEqual(missingWords, []));

/**
 * Here all combinations are tried; in each other chain a third of them, another one in the next. Of the other pairs each is
 * tried in one of these chains, and in one of the rest.
 */
const whole: ReadonlySet<string> = new Set(['ingress', 'input', 'forward']);

for (const [turn, chain] of chains.entries()) {
  test(`${chain}: a rule of two matches, or of a match and a target, is taken or refused at its line`, async (t) => {
    const space = await namespace(t);
    const passing = chain === 'nat' ? 'accept' : 'count';
    const all = [
      ...pairs.map((keys) => ruleText(keys, passing)),
      ...matchedActions.map((rule) => ruleText(rule.keys, rule.do)),
    ];
    const others = otherPairs.map((keys) => ruleText(keys, passing));
    const group = chains.filter((one) => whole.has(one) === whole.has(chain));
    const rules = [
      ...(whole.has(chain) ? all : all.filter((_, index) => index % 3 === turn % 3)),
      ...others.filter((_, index) => index % group.length === group.indexOf(chain)),
    ];
    const parts = judge(chain, rules);
    for (const { rule, why } of parts.flatMap(({ refused }) => refused)) {
      assert.ok(why.hint !== undefined, `{ ${rule} }: nothing says what to do: ${why.message}`);
    }
    for (const { plan } of parts) {
      if (plan === undefined) continue;
      await space.nft(`flush ruleset\n${renderRuleset(plan.ruleset)}`);
      // nft 1.0.6 ends by SIGABRT over listings of some of what it loads.
      await space.run('nft', 'list', 'ruleset');
    }
    const taken = parts.reduce((sum, part) => sum + part.taken.length, 0);
    t.diagnostic(`${rules.length} rules, ${taken} of them taken`);
    assert.ok(taken > 0 && taken < rules.length);
  });
}
