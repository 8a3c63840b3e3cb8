/** `/v1/status`, `/healthz`, `/readyz`. */

import { Type } from 'typebox';
import { PosternError } from '../../errors.js';
import type { Api, ApiParts } from '../api.js';
import { Instant } from '../schemas.js';

const StatusOutput = Type.Object({
  version: Type.String(),
  pid: Type.Integer(),
  startedAt: Instant,
  policy: Type.Object({
    file: Type.Optional(Type.String({ description: 'Absent before the first apply.' })),
    appliedAt: Type.Optional(Instant),
    confirmBy: Type.Optional(Instant),
  }),
  tables: Type.Integer(),
  accounts: Type.Integer(),
  drift: Type.Object({ found: Type.Integer(), repaired: Type.Integer(), failed: Type.Integer() }),
  services: Type.Array(
    Type.Object({
      name: Type.String(),
      state: Type.String({ examples: ['running', 'failed'] }),
      status: Type.String({ description: "What it listens to, or why it doesn't." }),
    }),
  ),
  store: Type.Optional(
    Type.Object({
      mode: Type.String({ examples: ['durable', 'memory'] }),
      entries: Type.Integer(),
      notices: Type.Array(Type.String()),
    }),
  ),
});

const Ok = Type.Object({ status: Type.Literal('ok') });

export function statusRoutes(api: Api, parts: ApiParts): void {
  const { engine } = parts;
  const tags = ['status'];

  api.get('/v1/status', { schema: { tags, summary: 'How it stands', response: { 200: StatusOutput } } }, async () => {
    const { policy, drift } = await engine.metrics();
    const { current, confirmBy } = engine.policy;
    const store = parts.store?.();
    return {
      version: parts.version,
      pid: process.pid,
      startedAt: instant(parts.startedAt),
      policy: {
        ...(current !== undefined && { file: current.source.file }),
        ...(policy.appliedAt !== undefined && { appliedAt: instant(policy.appliedAt) }),
        ...(confirmBy !== undefined && { confirmBy: instant(confirmBy) }),
      },
      tables: (await engine.tables.list()).length,
      accounts: engine.accounts.list().length,
      drift: { found: drift.found, repaired: drift.repaired, failed: drift.failed },
      services: parts.services().map(({ name, state, status }) => ({ name, state, status })),
      ...(store !== undefined && { store: { mode: store.mode, entries: store.entries, notices: [...store.notices] } }),
    };
  });

  api.get('/healthz', { schema: { tags, summary: 'Is the daemon alive', response: { 200: Ok } } }, async () => ({
    status: 'ok' as const,
  }));

  api.get(
    '/readyz',
    { schema: { tags, summary: 'Is a policy in force and does every service run', response: { 200: Ok } } },
    async () => {
      if (engine.policy.current === undefined) throw new PosternError('busy', 'no policy is in force yet');
      const failed = parts.services().filter(({ state }) => state === 'failed');
      if (failed.length > 0) {
        throw new PosternError('busy', failed.map(({ name, status }) => `${name}: ${status}`).join('; '));
      }
      return { status: 'ok' as const };
    },
  );
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
