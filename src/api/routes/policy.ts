/** `/v1/policy`: what is in force, and the way to what the file says now. */

import { Type } from 'typebox';
import type { ApplyResult } from '../../engine/policy-control.js';
import { PosternError } from '../../errors.js';
import { parseDuration } from '../../net/duration.js';
import type { Api, ApiParts } from '../api.js';
import { Instant, PlanOutput, PolicyInput, strict } from '../schemas.js';

const PolicyOutput = Type.Object({
  file: Type.String(),
  text: Type.String(),
  digest: Type.String({ description: 'SHA-256 of the compiled ruleset.' }),
  confirmBy: Type.Optional(Instant),
});

const ApplyOutput = Type.Object({
  plan: PlanOutput,
  confirmBy: Type.Optional(Type.String({ format: 'date-time', description: 'Until when it has to be confirmed.' })),
});

const ReloadInput = Type.Union([
  strict({
    confirmWithin: Type.Optional(
      Type.String({
        maxLength: 64,
        description: 'Go back to what was in force unless it is confirmed within this time.',
        examples: ['60s'],
      }),
    ),
    force: Type.Optional(
      Type.Array(Type.String({ maxLength: 128 }), {
        maxItems: 100,
        description: 'Flows that pass now and may be cut, by the names in the refusal.',
      }),
    ),
    operator: Type.Optional(
      Type.String({
        maxLength: 256,
        pattern: '^[0-9A-Fa-f.:%]+ [0-9]+ [0-9A-Fa-f.:%]+ [0-9]+$',
        description: 'SSH_CONNECTION of who asks: a new policy must let him in again.',
      }),
    ),
  }),
  Type.Null(),
]);

const PlanInput = Type.Union([PolicyInput, Type.Null()]);

export function policyRoutes(api: Api, { engine: { policy }, reload }: ApiParts): void {
  const tags = ['policy'];

  api.get(
    '/v1/policy',
    { schema: { tags, summary: 'The policy in force', response: { 200: PolicyOutput } } },
    async () => {
      if (policy.current === undefined) throw new PosternError('not-found', 'no policy is in force yet');
      const { source, plan } = policy.current;
      return { ...source, digest: plan.manifest.digest, ...confirmation(policy.confirmBy) };
    },
  );

  api.post(
    '/v1/policy/plan',
    { schema: { tags, summary: 'What a reload would change', body: PlanInput, response: { 200: PlanOutput } } },
    async ({ body }) => planOutput(await policy.plan(body ?? undefined)),
  );

  api.post(
    '/v1/policy/reload',
    {
      schema: {
        tags,
        summary: 'Apply the policy file as it is now',
        body: ReloadInput,
        response: { 200: ApplyOutput },
      },
    },
    async ({ body }) => {
      const confirmWithin = body?.confirmWithin;
      const options = {
        ...(confirmWithin !== undefined && { confirmWithinMs: parseDuration(confirmWithin) }),
        ...(body?.force !== undefined && { force: body.force }),
        ...(body?.operator !== undefined && { operator: body.operator }),
      };
      return applyOutput(await reload(options));
    },
  );

  api.post(
    '/v1/policy/confirm',
    { schema: { tags, summary: 'Keep what waits to be confirmed', response: { 204: Type.Null() } } },
    async (_request, reply) => {
      await policy.confirm();
      return reply.code(204).send(null);
    },
  );

  api.post(
    '/v1/policy/rollback',
    { schema: { tags, summary: 'Go back to what was in force before', response: { 200: ApplyOutput } } },
    async () => applyOutput(await policy.rollback()),
  );
}

function applyOutput({ diff, confirmBy }: ApplyResult) {
  return { plan: planOutput(diff), ...confirmation(confirmBy) };
}

function planOutput({ empty, changes, warnings }: ApplyResult['diff']) {
  return { empty, changes: [...changes], warnings: [...warnings] };
}

function confirmation(confirmBy: number | undefined) {
  return confirmBy === undefined ? {} : { confirmBy: new Date(confirmBy).toISOString() };
}
