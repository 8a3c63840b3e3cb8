/** Which hooks the policy's own chains are reached from, and whether they can be: loops, chains that nobody jumps to. */

import type { Words } from '../extensions/registry.js';
import type { Hook } from '../nft/model.js';
import type { Chain, Policy, Rule } from '../policy/ast.js';
import { type Draft, refuse } from './draft/draft.js';
import { bases, filterHooks, misfit, targetsOf } from './hooks.js';

export type Reach = ReadonlyMap<string, ReadonlySet<Hook>>;

/** @returns the hooks of each user chain; a chain that can't be reached has none and is warned of. */
export function reachOf(draft: Draft, words: Words): Reach {
  const { chains } = draft.policy;
  const reach = new Map<string, Set<Hook>>();
  for (const chain of chains.values()) {
    draft.attempt(() => refuseLoop(chain, draft.policy, []));
    for (const hook of hooksOf(chain)) follow(chain, hook, draft.policy, words, reach);
  }
  for (const chain of chains.values()) {
    if (chain.kind === 'user' && !reach.has(chain.name)) {
      draft.warn(chain.at, `no rule jumps to ${chain.name}`, `write "do: jump ${chain.name}" where it shall be asked`);
    }
  }
  return reach;
}

/** The hooks in which a chain runs by itself. */
export function hooksOf(chain: Chain): readonly Hook[] {
  if (chain.kind === 'user') return [];
  return chain.kind === 'filter' ? filterHooks : [bases[chain.kind].hook];
}

function follow(chain: Chain, hook: Hook, policy: Policy, words: Words, reach: Map<string, Set<Hook>>): void {
  for (const target of targetsIn(chain, hook, words)) {
    const hooks = reach.get(target) ?? new Set<Hook>();
    reach.set(target, hooks);
    if (hooks.has(hook)) continue;
    hooks.add(hook);
    const next = policy.chains.get(target);
    if (next !== undefined) follow(next, hook, policy, words, reach);
  }
}

const targetsIn = (chain: Chain, hook: Hook, words: Words): string[] =>
  chain.rules.filter((rule) => misfit(rule, hook, words) === undefined).flatMap(targetsOf);

function refuseLoop(chain: Chain, policy: Policy, above: readonly string[]): void {
  for (const rule of chain.rules) {
    for (const target of targetsOf(rule)) {
      const path = [...above, chain.name];
      if (path.includes(target)) refuseAt(rule, target, `${[...path, target].join(' to ')} goes in a circle`);
      const next = policy.chains.get(target);
      if (next !== undefined && path.length < policy.chains.size) refuseLoop(next, policy, path);
    }
  }
}

function refuseAt(rule: Rule, target: string, message: string): never {
  const action = rule.actions.find((candidate) => 'chain' in candidate && candidate.chain === target);
  return refuse(action?.at ?? rule.at, message, 'end the chain with return instead');
}
