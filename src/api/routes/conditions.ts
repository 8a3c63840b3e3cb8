/** `/v1/conditions`: the switches of the policy. */

import { Type } from 'typebox';
import { missing } from '../../engine/missing.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';

const ConditionName = Type.Object({ condition: Type.String({ maxLength: 31 }) });
const State = Type.Object({ on: Type.Boolean() }, { additionalProperties: false });
const NamedState = Type.Object({ name: Type.String(), on: Type.Boolean() });
const Changed = Type.Object({
  changed: Type.Array(Type.String({ description: 'Conditions that stood otherwise before.' })),
});
const maxFlips = 1000;

export function conditionRoutes(api: Api, { engine: { conditions } }: ApiParts): void {
  const tags = ['conditions'];

  api.get(
    '/v1/conditions',
    {
      schema: {
        tags,
        summary: 'All conditions, and how they stand',
        response: { 200: Type.Object({ conditions: Type.Array(NamedState) }) },
      },
    },
    async () => ({ conditions: await conditions.list() }),
  );

  api.patch(
    '/v1/conditions',
    {
      schema: {
        tags,
        summary: 'Set several conditions in one transaction',
        body: Type.Record(Type.String({ maxLength: 31 }), Type.Boolean(), { maxProperties: maxFlips }),
        response: { 200: Changed },
      },
    },
    async (request) => ({
      changed: [...(await conditions.set(new Map(Object.entries(request.body)), callerOf(request)))],
    }),
  );

  api.get(
    '/v1/conditions/:condition',
    { schema: { tags, summary: 'One condition', params: ConditionName, response: { 200: NamedState } } },
    async ({ params: { condition } }) => {
      const found = (await conditions.list()).find(({ name }) => name === condition);
      if (found === undefined) throw missing('condition', condition, conditions.names());
      return found;
    },
  );

  api.put(
    '/v1/conditions/:condition',
    {
      schema: { tags, summary: 'Set one condition', params: ConditionName, body: State, response: { 200: Changed } },
    },
    async (request) => {
      const states = new Map([[request.params.condition, request.body.on]]);
      return { changed: [...(await conditions.set(states, callerOf(request)))] };
    },
  );
}
