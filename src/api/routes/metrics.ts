/** `/metrics`: what Prometheus reads. */

import { Type } from 'typebox';
import type { Api, ApiParts } from '../api.js';
import { Metrics } from '../metrics.js';

export function metricsRoutes(api: Api, parts: ApiParts): void {
  const metrics = new Metrics(parts);
  api.addHook('onResponse', async (request, reply) => {
    metrics.answered(request.method, request.routeOptions.url ?? 'none', reply.statusCode);
  });
  api.addHook('onClose', async () => metrics.close());

  api.get(
    '/metrics',
    {
      schema: {
        tags: ['status'],
        summary: 'Metrics for Prometheus',
        response: { 200: { description: 'Metrics.', content: { 'text/plain': { schema: Type.String() } } } },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
