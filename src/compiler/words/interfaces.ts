/** `in`, `out`, `via`. */

import { always, type MatchFragment } from '../../extensions/fragment.js';
import { match, meta, oneOf } from '../../nft/build.js';
import type { Statement } from '../../nft/model.js';
import type { Choice, InterfaceTerm, Match } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';

type InterfaceMatch = Extract<Match, { word: 'in' | 'out' | 'via' }>;

export function interfaces({ word, interfaces: choice }: InterfaceMatch, site: RuleSite): MatchFragment {
  // Where it can't arrive or leave the reader has refused the word; elsewhere every packet does.
  if (choice === 'any') return always;
  if (word !== 'via') return { anyOf: [{ statements: named(word, choice) }] };
  const sides = [
    ...(site.runsIn('ingress', 'prerouting', 'input', 'forward') ? ['in' as const] : []),
    ...(site.runsIn('forward', 'output', 'postrouting') ? ['out' as const] : []),
  ];
  // One of the members on either side, and none of the excluded on any.
  const excluded = sides.flatMap((side) => named(side, { any: [], not: choice.not }));
  if (choice.any.length === 0) return { anyOf: [{ statements: excluded }] };
  const included = sides.map((side) => named(side, { any: choice.any, not: [] }));
  return { anyOf: included.map((way) => ({ statements: [...way, ...excluded] })) };
}

function named(side: 'in' | 'out', { any, not }: Choice<InterfaceTerm>): Statement[] {
  const name = meta(side === 'in' ? 'iifname' : 'oifname');
  const devices = (terms: readonly InterfaceTerm[]) => oneOf([...new Set(terms.map(({ device }) => device))]);
  return [
    ...(any.length > 0 ? [match(name, devices(any))] : []),
    ...(not.length > 0 ? [match(name, devices(not), '!=')] : []),
  ];
}
