/** What a rule remembers of addresses: `update @set { ip saddr limit … }` in sets that a reload keeps. */

import { addressOf } from '../../extensions/address-field.js';
import type { Line } from '../../extensions/fragment.js';
import type { SetRequest } from '../../extensions/site.js';
import type { Family } from '../../net/address.js';
import { addTo, and, match, meta, setRef, update } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { RuleSite } from '../site.js';
import { bothFamilies } from '../weave.js';

export interface Memory {
  readonly word: 'log' | 'limit' | 'conns';
  readonly per: 'source' | 'destination' | 'rule';
  /** Evaluated on the element: the limit or the connection count. */
  readonly statement: Statement;
  /** Forget an address that wasn't seen for so long. Absent: as long as its statement says. */
  readonly timeoutMs?: number;
}

export interface Remembering {
  /** What holds when the statement does: one line, or one a family. */
  readonly lines: readonly Line[];
  /** Lines that count packets whose address found no place. They come later. */
  readonly noPlace: readonly Line[];
}

/** Addresses that a rule remembers at a time. */
const hosts = 65_536;

/** Every packet has this key: one bucket for all of them. */
const sameForAll: Expression = and(meta('mark'), 0);

export function remember(memory: Memory, site: RuleSite): Remembering {
  if (memory.per === 'rule') {
    return { lines: [{ statements: [touch(memory, site.set(requestOf(memory, site)), sameForAll)] }], noPlace: [] };
  }
  site.note(`${memory.word} remembers ${hosts} addresses a family; packets that find no place are counted`);
  const address = (family: Family) => addressOf(memory.per === 'source' ? 'source' : 'destination', family);
  const set = (family: Family) => site.set(requestOf(memory, site, family));
  return {
    lines: bothFamilies.map((family) => ({ family, statements: [touch(memory, set(family), address(family))] })),
    noPlace: bothFamilies.map((family) => ({
      family,
      statements: [match(address(family), setRef(set(family)), '!='), site.overflow(requestOf(memory, site, family))],
    })),
  };
}

function touch({ statement, timeoutMs }: Memory, set: string, key: Expression): Statement {
  // Connection counts end with their connections.
  if (timeoutMs === undefined) return addTo(set, key, { stmt: [statement] });
  return update(set, key, { timeoutMs, stmt: [statement] });
}

const requestOf = (memory: Memory, site: RuleSite, family?: Family): SetRequest => ({
  role: { kind: 'rule', rule: site.rule.id, word: memory.word, ...(family !== undefined && { family }) },
  key: { type: [family === undefined ? 'mark' : family === 4 ? 'ipv4_addr' : 'ipv6_addr'] },
  flags: memory.timeoutMs === undefined ? ['dynamic'] : ['dynamic', 'timeout'],
  size: family === undefined ? 1 : hosts,
  variant: JSON.stringify([memory.per, memory.statement]),
});
