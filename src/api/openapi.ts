/** The API described by itself. */

import swagger from '@fastify/swagger';
import type { Api } from './api.js';
import { ErrorShape } from './schemas.js';

/** Collects the schemas of all routes that are added after it, and serves them at `/v1/openapi.json`. */
export async function openApi(api: Api, version: string): Promise<void> {
  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Postern',
        version,
        description: 'Tables, accounts and the policy of a Postern daemon.',
        license: { name: 'MIT' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Over TCP only.' } } },
      security: [{ token: [] }, {}],
    },
    transform: ({ schema, url }) => ({
      schema: { ...schema, response: { ...(schema.response as object), default: errorResponse } },
      url,
    }),
  });

  api.get('/v1/openapi.json', { schema: { hide: true } }, async (_request, reply) => reply.send(api.swagger()));
}

const errorResponse = {
  description: 'An error.',
  content: { 'application/json': { schema: ErrorShape } },
};
