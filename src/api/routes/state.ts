/** `/v1/state/import`: what another machine has exported. */

import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { PosternError } from '../../errors.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';
import { limits } from '../limits.js';
import { ndjsonType } from '../ndjson.js';
import { Changes } from '../schemas.js';

const Imported = Type.Object({
  records: Type.Integer(),
  won: Type.Integer({ description: 'Those that were news; of the others something later is known.' }),
  changes: Changes,
});

export function stateRoutes(api: Api, { importState }: ApiParts): void {
  if (importState === undefined) return;
  api.post(
    '/v1/state/import',
    {
      schema: {
        tags: ['state'],
        summary: 'Take in the lines of `postern state export`',
        description:
          'A record counts where it is later than what is known of the same thing. At an error the records before it stay.',
        body: {
          content: { [ndjsonType]: { schema: Type.Unknown({ description: 'A header, then one record a line.' }) } },
        },
        response: { 200: Imported },
      },
      handlerTimeout: limits.streamMs,
    },
    async (request) => {
      if (!(request.body instanceof Readable)) throw new PosternError('usage', `this needs a body of ${ndjsonType}`);
      return importState(request.body, callerOf(request));
    },
  );
}
