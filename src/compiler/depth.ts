/** The kernel follows jumps so far and no further (NFT_JUMP_STACK_SIZE). */

import type { Rule } from '../nft/model.js';
import { type Draft, refuse } from './draft/draft.js';

const deepest = 16;

/** Refuses a chain whose jumps (and gotos) go deeper than the kernel takes. */
export function refuseDeepChains(draft: Draft): void {
  const chains = new Map(draft.ruleset.chains('inet').map((chain) => [chain.name, chain]));
  const depths = new Map<string, number>();
  const depthOf = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    depths.set(name, 0);
    const below = (chains.get(name)?.rules ?? []).flatMap(targets).map(depthOf);
    const depth = 1 + Math.max(0, ...below);
    depths.set(name, depth);
    return depth;
  };
  for (const { name, base, rules } of chains.values()) {
    const { origin } = rules.find((rule) => targets(rule).some((target) => depthOf(target) >= deepest)) ?? {};
    if (base === undefined || origin === undefined || depthOf(name) <= deepest) continue;
    const message = `the chains below this rule are nested deeper than the ${deepest} that the kernel takes`;
    draft.attempt(() => refuse(origin, message, 'jump less deep, or to a chain of its own for some of the rules'));
  }
}

function targets({ statements }: Rule): string[] {
  return statements.flatMap((statement) => {
    if ('jump' in statement) return [statement.jump.target];
    if ('goto' in statement) return [statement.goto.target];
    if (!('vmap' in statement) || !('entries' in statement.vmap)) return [];
    return statement.vmap.entries.flatMap(([, verdict]) => targets({ statements: [verdict] }));
  });
}
