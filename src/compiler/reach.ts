/** Which hooks the policy's own chains are reached from. The reader has checked that they are, and not in a circle. */

import type { Words } from '../extensions/registry.js';
import type { Hook } from '../nft/model.js';
import type { Chain, Policy } from '../policy/ast.js';
import { bases, filterHooks, misfit, targetsOf } from './hooks.js';

export type Reach = ReadonlyMap<string, ReadonlySet<Hook>>;

/** The hooks of each user chain, through rules that can match there. */
export function reachOf(policy: Policy, words: Words): Reach {
  const reach = new Map<string, Set<Hook>>();
  const follow = (chain: Chain, hook: Hook): void => {
    for (const target of chain.rules.filter((rule) => misfit(rule, hook, words) === undefined).flatMap(targetsOf)) {
      const hooks = reach.get(target) ?? new Set<Hook>();
      reach.set(target, hooks);
      if (hooks.has(hook)) continue;
      hooks.add(hook);
      follow(policy.chains.get(target)!, hook);
    }
  };
  for (const chain of policy.chains.values()) for (const hook of hooksOf(chain)) follow(chain, hook);
  return reach;
}

/** The hooks in which a chain runs by itself. */
export function hooksOf(chain: Chain): readonly Hook[] {
  if (chain.kind === 'user') return [];
  return chain.kind === 'filter' ? filterHooks : [bases[chain.kind].hook];
}
