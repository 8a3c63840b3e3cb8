/** `/v1/quotas`: amounts of bytes or packets that rules use up. */

import { Type } from 'typebox';
import type { QuotaState, Quotas } from '../../engine/quotas.js';
import { PosternError } from '../../errors.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';

const most = Number.MAX_SAFE_INTEGER;
const QuotaName = Type.Object({ quota: Type.String({ maxLength: 31 }) });
const amount = Type.Integer({ minimum: 0, maximum: most });
const unit = Type.Union([Type.Literal('bytes'), Type.Literal('packets')]);
const wantedUnit = Type.Optional(
  Type.Union(unit.anyOf, { description: 'What the number counts; refused where the quota counts the other.' }),
);
const Quota = Type.Object({
  name: Type.String(),
  unit,
  value: Type.Integer({ description: 'What it holds now.' }),
  initial: Type.Integer({ description: 'What it holds after a reset.' }),
});

const output = ({ name, unit, value, amount: initial }: QuotaState) => ({
  name,
  unit,
  value: Number(value),
  initial: Number(initial),
});

type Unit = QuotaState['unit'];

/** @throws PosternError `invalid` when the quota counts something else; `not-found`, `kernel`. */
async function checkUnit(quotas: Quotas, name: string, wanted: Unit | undefined): Promise<void> {
  if (wanted === undefined) return;
  const { unit } = await quotas.get(name);
  if (unit === wanted) return;
  throw new PosternError('invalid', `quota ${name} counts ${unit}: write a number of ${unit}, not of ${wanted}`);
}

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
        body: Type.Object({ value: amount, unit: wantedUnit }, { additionalProperties: false }),
        response: { 200: Quota },
      },
    },
    async (request) => {
      const { quota } = request.params;
      await checkUnit(quotas, quota, request.body.unit);
      return output(await quotas.set(quota, BigInt(request.body.value), callerOf(request)));
    },
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
          body: Type.Object({ amount, unit: wantedUnit }, { additionalProperties: false }),
          response: { 200: Quota },
        },
      },
      async (request) => {
        const { quota } = request.params as { quota: string };
        const { amount: by, unit: wanted } = request.body as { amount: number; unit?: Unit };
        await checkUnit(quotas, quota, wanted);
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
