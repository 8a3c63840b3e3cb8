/** `log`: a copy of the packet to an NFLOG group, all of them or so many. */

import { type ActionFragment, does, type Line } from '../../extensions/fragment.js';
import { firstLimit, limitOf } from '../../extensions/rate.js';
import { limit, log } from '../../nft/build.js';
import type { Limit, Statement } from '../../nft/model.js';
import type { LogSpec } from '../../policy/ast.js';
import { logGroup } from '../draft/marks.js';
import type { RuleSite } from '../site.js';
import { remember } from './memory.js';

/** A source that is silent for so long may be logged anew. */
const weekMs = 604_800_000;

/** The kernel's log is no use here: it writes nothing from other network namespaces than the first. */
export function logging(spec: LogSpec, site: RuleSite): ActionFragment {
  const copy = log({
    prefix: spec.name ?? `${site.rule.chain}/${site.rule.number}`,
    group: logGroup,
    ...(spec.body !== undefined && { snaplen: spec.body }),
  });
  const bound = boundOf(spec, site);
  if (bound === undefined) return does(copy);
  const per = spec.per ?? 'rule';
  const timeoutMs = per === 'rule' ? undefined : weekMs;
  const { lines, noPlace } = remember(
    { word: 'log', per, statement: limit(bound), ...(timeoutMs !== undefined && { timeoutMs }) },
    site,
  );
  return { lines: [...lines.map((line) => ended(line, copy)), ...noPlace] };
}

const ended = (line: Line, statement: Statement): Line => ({ ...line, statements: [...line.statements, statement] });

function boundOf(spec: LogSpec, site: RuleSite): Limit | undefined {
  if (spec.first !== undefined && spec.rate !== undefined) {
    site.refuse('first and rate are two ways to log less', 'keep one of them');
  }
  if (spec.first !== undefined) {
    return (
      firstLimit(spec.first) ?? site.refuse(`the kernel can't count to ${spec.first} here`, 'take a smaller number')
    );
  }
  if (spec.rate === undefined) return undefined;
  return (
    limitOf(spec.rate) ?? site.refuse("nft can't keep this rate", 'take a whole number a week, or a smaller burst')
  );
}
