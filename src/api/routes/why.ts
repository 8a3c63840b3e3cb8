/** `/v1/why`: what becomes of a packet, and which line of the policy decides. */

import { Type } from 'typebox';
import { PosternError } from '../../errors.js';
import type { Api, ApiParts } from '../api.js';
import { limits } from '../limits.js';
import { strict } from '../schemas.js';

const WhyInput = strict({
  packet: Type.String({
    maxLength: 1024,
    description: 'One line.',
    examples: ['tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn'],
  }),
  policy: Type.Optional(
    Type.String({ description: 'The text of another policy, to try instead. The one in force when absent.' }),
  ),
});

/** Its shape is that of `postern why --json`. */
const WhyOutput = Type.Record(Type.String(), Type.Unknown());

/** Each holds a thread, devices and tables of the kernel. */
const mostAtOnce = 2;

export function whyRoutes(api: Api, { why }: ApiParts): void {
  let running = 0;
  api.post(
    '/v1/why',
    {
      schema: {
        tags: ['policy'],
        summary: 'What becomes of a packet, and which line decides',
        description: 'The packet goes through the real kernel, on a copy of the host. Nothing is changed.',
        body: WhyInput,
        response: { 200: WhyOutput },
      },
      handlerTimeout: limits.streamMs,
    },
    async ({ body }) => {
      if (why === undefined) throw new PosternError('unsupported', 'this program can not try packets');
      if (running >= mostAtOnce) throw new PosternError('busy', 'other packets are being tried; ask again in a moment');
      running++;
      try {
        return { ...(await why(body.packet, body.policy)) };
      } finally {
        running--;
      }
    },
  );
}
