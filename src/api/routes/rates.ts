/** `/v1/accounts/:account/rates`: traffic as it flows. */

import { Readable } from 'node:stream';
import { Type } from 'typebox';
import type { AccountRates } from '../../engine/accounts.js';
import { missing } from '../../engine/missing.js';
import { PosternError } from '../../errors.js';
import { formatAddress } from '../../net/address.js';
import { formatDuration, parseDuration } from '../../net/duration.js';
import type { Api, ApiParts } from '../api.js';
import { limits } from '../limits.js';
import { LongStreams } from '../long-streams.js';
import { ndjsonType } from '../ndjson.js';
import { AccountName, Instant, strict } from '../schemas.js';

/** Each reading is a dump of the account. */
const minIntervalMs = 200;
const maxIntervalMs = 3_600_000;
const defaultIntervalMs = 1000;

const maxReaders = 32;

const Rate = Type.Object({ packets: Type.Number(), bytes: Type.Number() });

const RatesOutput = Type.Object({
  account: Type.String(),
  at: Instant,
  intervalMs: Type.Integer(),
  rates: Type.Array(Type.Object({ address: Type.String(), source: Rate, destination: Rate }), {
    description: 'Per second, over the interval; busiest first, without addresses at rest.',
  }),
});

export function rateRoutes(api: Api, { engine: { accounts } }: ApiParts): void {
  const readers = new LongStreams(api, maxReaders);

  api.get(
    '/v1/accounts/:account/rates',
    {
      schema: {
        tags: ['accounts'],
        summary: 'Traffic per second, one document a line, once every interval until the connection ends',
        params: AccountName,
        querystring: strict({ interval: Type.Optional(Type.String({ maxLength: 64, examples: ['1s'] })) }),
        response: { 200: ratesResponse },
      },
      handlerTimeout: limits.streamMs,
      exposeHeadRoute: false,
    },
    async ({ params: { account }, query: { interval } }, reply) => {
      const intervalMs = interval === undefined ? defaultIntervalMs : readInterval(interval);
      const names = accounts.list().map(({ name }) => name);
      if (!names.includes(account)) throw missing('account', account, names);
      readers.admit();
      const ended = new AbortController();
      const stream = Readable.from(rateLines(accounts.watch(account, intervalMs, ended.signal)), { objectMode: false });
      stream.once('close', () => ended.abort());
      readers.add(stream, () => ended.abort());
      return reply.type(ndjsonType).send(stream);
    },
  );
}

/** Not a type for the handler: it answers a stream. */
const ratesResponse: object = {
  description: 'The rates.',
  content: { [ndjsonType]: { schema: RatesOutput } },
};

function readInterval(text: string): number {
  const intervalMs = parseDuration(text);
  if (intervalMs >= minIntervalMs && intervalMs <= maxIntervalMs) return intervalMs;
  const bounds = `${formatDuration(minIntervalMs)} to ${formatDuration(maxIntervalMs)}`;
  throw new PosternError('invalid', `an interval of ${text} is out of range: it goes from ${bounds}`);
}

async function* rateLines(readings: AsyncIterable<AccountRates>): AsyncGenerator<string> {
  for await (const { account, at, intervalMs, rates } of readings) {
    const rows = rates.map(({ address, ...rate }) => ({ address: formatAddress(address), ...rate }));
    yield `${JSON.stringify({ account, at: new Date(at).toISOString(), intervalMs, rates: rows })}\n`;
  }
}
