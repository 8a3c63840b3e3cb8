/** Bits of the marks that the policy's own words use: generated rules keep off them. */

import type { Words } from '../extensions/registry.js';
import type { MarkField } from '../extensions/roles.js';
import type { Policy, Rule } from '../policy/ast.js';

export interface UsedBits {
  readonly of: MarkField['of'];
  readonly mask: number;
}

export function userMarks(policy: Policy, words: Words): Record<MarkField['of'], number> {
  const used = { packet: 0, connection: 0 };
  const rules = [...policy.nat, ...[...policy.chains.values()].flatMap((chain) => chain.rules)];
  for (const { of, mask } of rules.flatMap((rule) => marksOf(rule, words))) used[of] = (used[of] | mask) >>> 0;
  return used;
}

const marksOf = ({ matches, actions }: Rule, words: Words): UsedBits[] => [
  ...matches.flatMap((match): readonly UsedBits[] => {
    if (match.word === 'mark') return [match];
    return match.word === 'extension' ? (words.match(match.name).marks?.(match.spec) ?? []) : [];
  }),
  ...actions.flatMap((action): readonly UsedBits[] => {
    if (action.action === 'mark') return [action];
    return action.action === 'extension' ? (words.action(action.name).marks?.(action.spec) ?? []) : [];
  }),
];
