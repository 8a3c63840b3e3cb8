/** What the daemon's engine knows of an address. */

import type { Engine } from '../../engine/engine.js';
import { formatDoorPort, type Grant } from '../../engine/knocks.js';
import type { TestResult } from '../../engine/tables.js';
import type { Address } from '../../net/address.js';
import { formatPrefix, prefixContains } from '../../net/prefix.js';
import type { Books, GrantConcern, TableConcern } from '../../oracle/address.js';

export async function booksOf({ tables, knocks }: Engine, address: Address): Promise<Books> {
  const concerns: TableConcern[] = [];
  for (const { name } of await tables.list()) concerns.push(...concernOf(name, await tables.test(name, address)));
  const grants = (await knocks.list()).filter(({ source }) => prefixContains(source, address));
  return {
    tables: concerns,
    grants: grants.map(
      ({ knock, until, ...how }): GrantConcern => ({
        knock,
        by: howText(how),
        ...(until !== undefined && { until: new Date(until).toISOString() }),
      }),
    ),
  };
}

function howText({ by, client, ports }: Pick<Grant, 'by' | 'client' | 'ports'>): string {
  const who = client === undefined ? by : `${by} of ${client}`;
  return ports === undefined ? who : `${who}, at ${ports.map(formatDoorPort).join(' ')}`;
}

function concernOf(table: string, { inTable, entry }: TestResult): TableConcern[] {
  if (entry === undefined) return [];
  const { prefix, source, expiresAt, comment } = entry;
  return [
    {
      table,
      entry: formatPrefix(prefix),
      source: `${source.kind} ${source.id}`.trimEnd(),
      ...(!inTable && { not: true }),
      ...(expiresAt !== undefined && { until: new Date(expiresAt).toISOString() }),
      ...(comment !== undefined && { comment }),
    },
  ];
}
