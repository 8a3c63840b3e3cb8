/** What is surprising about the tables that a rule names. */

import type { Rule, TableDecl } from '../ast.js';
import type { DiagnosticLog } from '../diagnostics.js';
import { familiesOf } from './narrow.js';

/** `not <t>` of a table that begins with addresses of one family matches all addresses of the other. */
export function checkNegatedTables(rule: Rule, tables: ReadonlyMap<string, TableDecl>, log: DiagnosticLog): void {
  for (const match of rule.matches) {
    if ((match.word !== 'from' && match.word !== 'to') || match.addresses === 'any') continue;
    for (const term of match.addresses.not) {
      if (term.kind !== 'table') continue;
      const held = new Set(tables.get(term.table)?.entries.map(({ range }) => range.family));
      const [only] = held;
      if (held.size !== 1 || only === undefined) continue;
      const other = only === 4 ? 6 : 4;
      if (!familiesOf(rule).left.has(other)) continue;
      const message = `"not <${term.table}>" matches all of IPv${other}: the table begins with IPv${only} only`;
      log.warn(term.at, message, `add "family: ipv${only}" if that is not meant`);
    }
  }
}
