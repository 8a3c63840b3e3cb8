/** `/v1/knocks`: who may come in because of a knock. */

import { Type } from 'typebox';
import { formatDoorPort } from '../../engine/knocks.js';
import { PosternError } from '../../errors.js';
import { formatPrefix, parsePrefix } from '../../net/prefix.js';
import { pknockProcLine } from '../../wire/pknock-proc.js';
import type { Api, ApiParts } from '../api.js';
import { callerOf } from '../caller.js';

const KnockName = Type.Object({ knock: Type.String({ maxLength: 31 }) });
const GrantPath = Type.Object({ knock: Type.String({ maxLength: 31 }), address: Type.String({ maxLength: 49 }) });

const GrantOutput = Type.Object({
  knock: Type.String(),
  address: Type.String({ description: 'An address or a prefix' }),
  ports: Type.Optional(Type.Array(Type.String(), { description: 'Where alone it may come in: tcp/22' })),
  by: Type.String({ description: 'sequence; spa, spa2: a signed datagram' }),
  client: Type.Optional(Type.String()),
  at: Type.Optional(Type.String({ format: 'date-time' })),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'Absent: for ever' })),
});

export function knockRoutes(api: Api, { engine: { knocks } }: ApiParts): void {
  const tags = ['knocks'];

  api.get(
    '/v1/knocks',
    {
      schema: {
        tags,
        summary: 'All knocks, and who may come in',
        response: { 200: Type.Object({ knocks: Type.Array(Type.String()), grants: Type.Array(GrantOutput) }) },
      },
    },
    async () => ({
      knocks: [...knocks.names()],
      grants: (await knocks.list()).map(({ source, ports, at, until, ...grant }) => ({
        ...grant,
        address: formatPrefix(source),
        ...(ports !== undefined && { ports: ports.map(formatDoorPort) }),
        ...(at !== undefined && { at: new Date(at).toISOString() }),
        ...(until !== undefined && { until: new Date(until).toISOString() }),
      })),
    }),
  );

  api.get(
    '/v1/knocks/:knock/proc',
    {
      schema: {
        tags,
        summary: 'Records as the lines of /proc/net/xt_pknock/NAME',
        params: KnockName,
        response: { 200: Type.Object({ lines: Type.Array(Type.String()) }) },
      },
    },
    async ({ params: { knock } }) => ({ lines: (await knocks.records(knock)).map(pknockProcLine) }),
  );

  api.delete(
    '/v1/knocks/:knock/grants/:address',
    {
      schema: {
        tags,
        summary: 'Let a source in no longer',
        params: GrantPath,
        response: { 200: Type.Object({ revoked: Type.Boolean() }) },
      },
    },
    async (request) => {
      const { knock, address } = request.params;
      const revoked = await knocks.revoke(knock, parsePrefix(address), callerOf(request));
      if (!revoked) throw new PosternError('not-found', `${address} has no grant of knock '${knock}'`);
      return { revoked };
    },
  );
}
