/** `/v1/accounts`: per-IP counts. */

import { Type } from 'typebox';
import type { AccountReading } from '../../engine/accounts.js';
import { formatAddress } from '../../net/address.js';
import { formatRange } from '../../net/prefix.js';
import type { Api, ApiParts } from '../api.js';
import { AccountName, AccountOutput, ReadingOutput } from '../schemas.js';

export function accountRoutes(api: Api, { engine: { accounts } }: ApiParts): void {
  const tags = ['accounts'];

  api.get(
    '/v1/accounts',
    {
      schema: {
        tags,
        summary: 'All accounts',
        response: { 200: Type.Object({ accounts: Type.Array(AccountOutput) }) },
      },
    },
    async () => ({
      accounts: accounts
        .list()
        .map(({ name, networks, size }) => ({ name, size, networks: networks.map(formatRange) })),
    }),
  );

  api.get(
    '/v1/accounts/:account',
    {
      schema: {
        tags,
        summary: 'What was counted since the last flush',
        params: AccountName,
        response: { 200: ReadingOutput },
      },
    },
    async ({ params }) => readingOutput(await accounts.read(params.account)),
  );

  api.post(
    '/v1/accounts/:account/flush',
    {
      schema: {
        tags,
        summary: 'Read and zero: every packet is in exactly one reading',
        params: AccountName,
        response: { 200: ReadingOutput },
      },
    },
    async ({ params }) => readingOutput(await accounts.flush(params.account)),
  );
}

function readingOutput({ account, at, rows, overflow }: AccountReading) {
  return {
    account,
    at: new Date(at).toISOString(),
    rows: rows.map(({ address, source, destination }) => ({ address: formatAddress(address), source, destination })),
    overflow,
  };
}
