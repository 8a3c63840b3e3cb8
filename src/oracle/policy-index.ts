/** Where the rules and chains of a policy stand, for answers in the policy's own words. */

import type { Hook, Origin } from '../nft/model.js';
import type { Chain, Policy, Rule } from '../policy/ast.js';
import { lostText } from './lost.js';
import type { Stop } from './reading.js';

/** A place in a policy file. */
export type Place = Origin;

export class PolicyIndex {
  readonly #rules = new Map<string, Rule>();

  constructor(readonly policy: Policy | undefined) {
    for (const rule of allRules(policy)) this.#rules.set(keyOf(rule.at), rule);
  }

  /** The rule that an nft rule was made from; undefined for what the compiler adds by itself. */
  ruleAt(origin: Origin | undefined): Rule | undefined {
    return origin && this.#rules.get(keyOf(origin));
  }

  /** The chain of the policy whose policy decides in a hook. */
  chainOf(hook: Hook): Chain | undefined {
    const isFilter = hook === 'input' || hook === 'forward' || hook === 'output';
    const chains = [...(this.policy?.chains.values() ?? [])];
    return (
      chains.find(({ kind }) => kind === hook) ?? (isFilter ? chains.find(({ kind }) => kind === 'filter') : undefined)
    );
  }

  /** Where what stopped or passed a packet stands. */
  placeOf(stop: Stop): Place | undefined {
    if (stop.by === 'rule') return stop.rule.rule.origin;
    const chain = stop.by === 'policy' ? this.chainOf(stop.hook) : undefined;
    return chain && { file: chain.at.file, line: chain.at.line, column: chain.at.column };
  }

  /** `by policy.yaml:12 { tcp: 22, do: accept }`, `by the policy of chain input (policy.yaml:8)`. */
  describe(stop: Stop): string {
    const place = this.placeOf(stop);
    switch (stop.by) {
      case 'rule': {
        const rule = this.ruleAt(stop.rule.rule.origin);
        const where = place === undefined ? `a rule of ${stop.rule.table} ${stop.rule.chain}` : placeText(place);
        return `by ${where}${rule === undefined ? '' : ` ${rule.text}`}`;
      }
      case 'policy':
        return `by the policy of chain ${this.chainOf(stop.hook)?.name ?? stop.chain}${place === undefined ? ` of table ${stop.table}` : ` (${placeText(place)})`}`;
      case 'foreign':
        return `by a rule of table ${stop.table}, chain ${stop.chain}${stop.rule === undefined ? '' : ` (${stop.rule})`}`;
      case 'host':
        return `by the host: ${lostText[stop.reason]}`;
      case 'nothing':
        return 'because nothing stands in the way';
    }
  }
}

function allRules(policy: Policy | undefined): Rule[] {
  if (policy === undefined) return [];
  return [...policy.nat, ...[...policy.chains.values()].flatMap(({ rules }) => rules)];
}

const keyOf = ({ file, line, column }: Origin): string => `${file}:${line}:${column}`;

/** `policy.yaml:12`. */
export const placeText = ({ file, line }: Place): string => `${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
