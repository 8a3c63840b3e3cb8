/** `limit` and `conns`. */

import type { MatchFragment } from '../../extensions/fragment.js';
import { limitOf, refillMs } from '../../extensions/rate.js';
import { ct, ctCount, drop, limit, matchAny } from '../../nft/build.js';
import type { Match } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';
import { remember } from './memory.js';

type Word<W extends Match['word']> = Extract<Match, { word: W }>;

/** True within the rate. */
export function rateLimit({ rate, per = 'rule' }: Word<'limit'>, site: RuleSite): MatchFragment {
  const kept = limitOf(rate);
  if (kept === undefined) {
    return site.refuse("nft can't keep this rate", 'take a whole number a week, or a smaller burst');
  }
  if (per === 'rule') {
    const role = { kind: 'limit', rule: site.rule.id } as const;
    const name = site.object({ kind: 'limit', ...kept, role });
    return { stateful: true, anyOf: [{ statements: [limit(name)] }] };
  }
  const timeoutMs = Math.max(1000, refillMs(rate));
  const { lines, noPlace } = remember({ word: 'limit', per, statement: limit(kept), timeoutMs }, site);
  return {
    stateful: true,
    decide: (matched) => [
      ...lines.map((line) => ({ ...line, statements: [...line.statements, ...matched] })),
      ...noPlace,
    ],
  };
}

/** At most so many connections of the rule at a time; the first packet of the next one is dropped. */
export function connections({ count, per }: Word<'conns'>, site: RuleSite): MatchFragment {
  if (!site.accepts) {
    site.refuse('conns bounds the connections that a rule accepts', 'end the rule with accept');
  }
  // Conntrack counts a connection with its first packet alone.
  const first = site.belowStateRule ? [] : [matchAny(ct('state'), ['new'])];
  const { lines, noPlace } = remember({ word: 'conns', per, statement: ctCount(count, true) }, site);
  return {
    stateful: true,
    decide: (matched) => [
      ...lines.map((line) => ({ ...line, statements: [...first, ...line.statements, drop] })),
      ...noPlace,
      { statements: matched },
    ],
  };
}
