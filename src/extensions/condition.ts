/**
 * condition: a switch that rules look at. It is a set of families: with both in it the condition is on, empty it is off,
 * so that flipping it is a change of elements, and several flip in one transaction.
 */

import { match, meta, setRef } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { entryOf } from '../policy/formats/names.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { conditionName, conditionState } from './condition-names.js';
import { type Extension, matchWord, sectionWord } from './extension.js';
import { holds } from './fragment.js';
import type { Ground, SetRequest } from './site.js';

const schema = Type.Boolean({ description: 'How it stands until somebody sets it.' });

export const condition: Extension = {
  name: conditionName,
  summary: 'A switch by name that rules look at, and that is set while the policy runs.',
  sections: [
    sectionWord(
      {
        name: 'conditions',
        form: 'named',
        description: 'Switches that rules look at with `condition: NAME`: off or on at first.',
        schema,
      },
      { compile: (name, on, ground) => void ground.set(stateSet(name, on)) },
    ),
  ],
  matches: [
    matchWord(
      {
        name: 'condition',
        description: 'The named condition is on.',
        schema: Value(entryOf('conditions')),
        negatable: true,
      },
      {
        compile: (name, site) => holds(isOn(name, site)),
        compileNot: (name, site) => holds(isOn(name, site, '!=')),
      },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'condition',
      options: { condition: 1 },
      negatable: ['condition'],
      read(options) {
        const option = options.get('condition');
        const name = option?.value ?? '';
        return {
          match: { condition: option?.negated ? `not ${name}` : name },
          sections: [['conditions', name, 'off']],
        };
      },
    },
  ],
  parity: {
    original: 'xt_condition',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'set by `postern condition set` or the REST API instead of a file in /proc, several in one transaction',
      'it belongs to the policy, not to the rules: it stays as it is over a reload, a restart and a boot',
      'names begin with a letter or "_" and have letters, digits, "_", "." and "-"',
    ],
    checked: 'what the recorded module did, with packets through the real kernel in both families',
  },
};

const stateSet = (name: string, on: boolean): SetRequest => ({
  role: { kind: 'extension', extension: conditionName, name, purpose: conditionState },
  key: { type: ['nf_proto'] },
  flags: [],
  size: 2,
  initial: on ? [{ value: 'ipv4' }, { value: 'ipv6' }] : [],
});

function isOn(name: string, ground: Ground, op: '==' | '!=' = '=='): Statement {
  const on = ground.policy.sections.get('conditions')!.get(name)!.spec as boolean;
  return match(meta('nfproto'), setRef(ground.set(stateSet(name, on))), op);
}
