/** `/v1/why`: what becomes of a packet, what concerns an address, and which lines of the policy decide. */

import { type Static, Type } from 'typebox';
import { PosternError } from '../../errors.js';
import { parseAddress } from '../../net/address.js';
import type { Api, ApiParts, WhyPacket } from '../api.js';
import { limits } from '../limits.js';
import { AddressInput, PolicyInput, strict } from '../schemas.js';

/** Hex digits of the longest packet. */
const mostHexDigits = 2 * 65_535;

const WhyInput = strict({
  packet: Type.Optional(
    Type.String({
      maxLength: 1024,
      description: 'One line.',
      examples: ['tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn'],
    }),
  ),
  hex: Type.Optional(
    Type.String({
      maxLength: mostHexDigits,
      pattern: '^([0-9a-fA-F]{2})+$',
      description: 'A packet from its IP header on, in place of a line.',
    }),
  ),
  in: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "With hex: the interface where it comes in; 'host': it is the host's own.",
    }),
  ),
  policy: Type.Optional(PolicyInput),
});

/** Its shape is that of `postern why --json`. */
const WhyOutput = Type.Record(Type.String(), Type.Unknown());

/** Each holds a thread, devices and tables of the kernel. */
const mostAtOnce = 2;

export function whyRoutes(api: Api, { why, whyAddress }: ApiParts): void {
  const tags = ['policy'];
  let running = 0;

  api.post(
    '/v1/why',
    {
      schema: {
        tags,
        summary: 'What becomes of a packet, and which line decides',
        description: 'The packet goes through the real kernel, on a copy of the host. Nothing is changed.',
        body: WhyInput,
        response: { 200: WhyOutput },
      },
      handlerTimeout: limits.streamMs,
    },
    async ({ body }) => {
      if (why === undefined) throw new PosternError('unsupported', 'this program can not try packets');
      const packet = packetOf(body);
      if (running >= mostAtOnce) throw new PosternError('busy', 'other packets are being tried; ask again in a moment');
      running++;
      try {
        return { ...(await why(packet, body.policy ?? undefined)) };
      } finally {
        running--;
      }
    },
  );

  api.get(
    '/v1/why/:address',
    {
      schema: {
        tags,
        summary: 'What concerns an address',
        description: 'Tables with who put it there and until when, grants, what rules remember of it, and the rules.',
        params: AddressInput,
        response: { 200: WhyOutput },
      },
    },
    async ({ params }) => {
      if (whyAddress === undefined) throw new PosternError('unsupported', 'this program can not look at sets');
      return { ...(await whyAddress(parseAddress(params.address))) };
    },
  );
}

/** @throws PosternError `invalid` unless there is one packet. */
function packetOf({ packet, hex, in: from }: Static<typeof WhyInput>): WhyPacket {
  if (packet !== undefined && hex === undefined) return { line: packet };
  if (packet === undefined && hex !== undefined && from !== undefined) return { bytes: Buffer.from(hex, 'hex'), from };
  throw new PosternError('invalid', 'give "packet", or "hex" and "in"');
}
