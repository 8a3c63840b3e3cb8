/**
 * gradm: whether the RBAC system of grsecurity is enabled. No mainline kernel has it, so that there is nothing to ask. A rule
 * is refused, unless the policy says that it is to be taken for what is true everywhere: disabled.
 */

import { present } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { type Extension, matchWord } from './extension.js';
import { always, type MatchFragment } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { Site } from './site.js';

const state = Type.Union([Type.Literal('enabled'), Type.Literal('disabled')]);
const schema = Type.Object({
  state,
  constant: Type.Optional(Value(present, { description: 'Take it for disabled, as it is on every kernel of today.' })),
});

export const gradm: Extension = {
  name: 'gradm',
  summary: 'Matches whether the RBAC system of grsecurity is enabled, which no stock kernel has.',
  matches: [
    matchWord(
      { name: 'gradm', description: 'RBAC of grsecurity is enabled, or disabled; refused without "constant".', schema },
      { compile: ({ state: wanted, constant }, site) => isState(wanted as 'enabled' | 'disabled', constant, site) },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'gradm',
      options: { enabled: 0, disabled: 0 },
      negatable: ['enabled', 'disabled'],
      read: readState,
    },
  ],
  parity: {
    original: 'xt_gradm',
    runs: 'kernel',
    standing: 'unavailable',
    why: 'it asks the RBAC system of grsecurity, which no stock kernel has: a rule is refused, or with "constant: true" taken for disabled',
    checked: 'the refusal at its place; both constants as packets through the kernel',
  },
};

function readState(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const negated = options.get('enabled')?.negated === true || options.get('disabled')?.negated === true;
  const isEnabled = options.has('enabled') !== negated;
  return {
    match: { gradm: { state: isEnabled ? 'enabled' : 'disabled' } },
    notes: ['no stock kernel has grsecurity: the rule is refused unless it says "constant: true"'],
  };
}

function isState(wanted: 'enabled' | 'disabled', constant: true | undefined, site: Site): MatchFragment {
  if (constant === undefined) {
    site.refuse(
      'no stock kernel has the RBAC system of grsecurity, so that it can not be asked',
      'remove "gradm", or say "gradm: { state: disabled, constant: true }" to take it for disabled',
    );
  }
  if (wanted === 'disabled') return { ...always, disjoint: true };
  site.warn('this rule never matches: grsecurity is taken for disabled', 'remove the rule');
  return { decide: (_, others) => [{ statements: others }] };
}
