/** `/v1/quotas`: amounts of bytes or packets that rules use up. */

import { Type } from 'typebox';
import type { QuotaState } from '../../engine/quotas.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';

const most = Number.MAX_SAFE_INTEGER;
const QuotaName = Type.Object({ quota: Type.String({ maxLength: 31 }) });
const amount = Type.Integer({ minimum: 0, maximum: most });
const Quota = Type.Object({
  name: Type.String(),
  unit: Type.Union([Type.Literal('bytes'), Type.Literal('packets')]),
  value: Type.Integer({ description: 'What it holds now.' }),
  initial: Type.Integer({ description: 'What it holds after a reset.' }),
});

const output = ({ name, unit, value, amount: initial }: QuotaState) => ({
  name,
  unit,
  value: Number(value),
  initial: Number(initial),
});

export function quotaRoutes(api: Api, { engine: { quotas } }: ApiParts): void {
  const tags = ['quotas'];

  api.get(
    '/v1/quotas',
    { schema: { tags, summary: 'All quotas', response: { 200: Type.Object({ quotas: Type.Array(Quota) }) } } },
    async () => ({ quotas: (await quotas.list()).map(output) }),
  );

  api.get(
    '/v1/quotas/:quota',
    { schema: { tags, summary: 'One quota', params: QuotaName, response: { 200: Quota } } },
    async ({ params: { quota } }) => output(await quotas.get(quota)),
  );

  api.put(
    '/v1/quotas/:quota',
    {
      schema: {
        tags,
        summary: 'Say what it holds',
        params: QuotaName,
        body: Type.Object({ value: amount }, { additionalProperties: false }),
        response: { 200: Quota },
      },
    },
    async (request) => output(await quotas.set(request.params.quota, BigInt(request.body.value), callerOf(request))),
  );

  for (const [word, summary, change] of [
    ['add', 'Add to what it holds', quotas.add.bind(quotas)],
    ['subtract', 'Take from what it holds, down to nothing', quotas.subtract.bind(quotas)],
  ] as const) {
    api.post(
      `/v1/quotas/:quota/${word}`,
      {
        schema: {
          tags,
          summary,
          params: QuotaName,
          body: Type.Object({ amount }, { additionalProperties: false }),
          response: { 200: Quota },
        },
      },
      async (request) => {
        const { quota } = request.params as { quota: string };
        const { amount: by } = request.body as { amount: number };
        return output(await change(quota, BigInt(by), callerOf(request)));
      },
    );
  }

  api.post(
    '/v1/quotas/:quota/reset',
    { schema: { tags, summary: 'Back to what the policy says', params: QuotaName, response: { 200: Quota } } },
    async (request) => output(await quotas.reset(request.params.quota, callerOf(request))),
  );
}
