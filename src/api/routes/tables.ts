/** `/v1/tables`: the tables themselves. Which there are is the policy's business. */

import { Type } from 'typebox';
import { missing } from '../../engine/missing.js';
import type { TableSummary } from '../../engine/tables.js';
import { parseAddress } from '../../net/address.js';
import { formatDuration } from '../../net/duration.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';
import { entryOutput } from '../entries.js';
import { AddressInput, Changes, EntryOutput, TableName, TableOutput } from '../schemas.js';

const maxTests = 1000;

const TestOutput = Type.Object({
  results: Type.Array(
    Type.Object({
      address: Type.String(),
      inTable: Type.Boolean(),
      entry: Type.Optional(EntryOutput),
    }),
  ),
});

export function tableRoutes(api: Api, { engine }: ApiParts): void {
  const tags = ['tables'];

  api.get(
    '/v1/tables',
    { schema: { tags, summary: 'All tables', response: { 200: Type.Object({ tables: Type.Array(TableOutput) }) } } },
    async () => ({ tables: (await engine.tables.list()).map(tableOutput) }),
  );

  api.get(
    '/v1/tables/:table',
    { schema: { tags, summary: 'One table', params: TableName, response: { 200: TableOutput } } },
    async ({ params: { table } }) => {
      const tables = await engine.tables.list();
      const found = tables.find(({ name }) => name === table);
      if (found === undefined) {
        const names = tables.map(({ name }) => name);
        throw missing('table', table, names);
      }
      return tableOutput(found);
    },
  );

  api.post(
    '/v1/tables/:table/flush',
    {
      schema: {
        tags,
        summary: "Delete all entries but the policy's own",
        params: TableName,
        response: { 200: Changes },
      },
    },
    async (request) => engine.tables.flush(request.params.table, callerOf(request)),
  );

  api.post(
    '/v1/tables/:table/test',
    {
      schema: {
        tags,
        summary: 'Are these addresses in the table, and by which entry',
        params: TableName,
        body: Type.Union([AddressInput, Type.Array(AddressInput, { maxItems: maxTests })]),
        response: { 200: TestOutput },
      },
    },
    async ({ params: { table }, body }) => ({
      results: await Promise.all([body].flat().map(({ address }) => testOne(table, address))),
    }),
  );

  async function testOne(table: string, address: string) {
    const { inTable, entry } = await engine.tables.test(table, parseAddress(address));
    return { address, inTable, ...(entry !== undefined && { entry: entryOutput(entry) }) };
  }
}

function tableOutput({ timeoutMs, ...table }: TableSummary) {
  return { ...table, ...(timeoutMs !== undefined && { timeout: formatDuration(timeoutMs) }) };
}
