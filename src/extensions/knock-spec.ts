/** What a policy says of a knock. */

import type { Static } from 'typebox';
import { timeout } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { secretFile } from '../policy/sections/schemas.js';
import { Value } from '../policy/types.js';

const port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** Each length is a set more to look into. */
const prefixLengths = (longest: number) =>
  Type.Array(Type.Integer({ minimum: 1, maximum: longest }), {
    minItems: 1,
    maxItems: 4,
    description: 'With `spa2`: clients may ask for all addresses that have so many first bits in common with theirs.',
  });

/** An entry of `knocks:`. */
export const knockSchema = Type.Object({
  ports: Type.Optional(
    Type.Array(port, { minItems: 1, maxItems: 15, description: 'The ports to knock at, in this order.' }),
  ),
  protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp'), Type.Literal('udplite')], {
    default: 'tcp',
    description: 'What the knocks at `ports` come by.',
  }),
  strict: Type.Boolean({
    default: false,
    description:
      'Any other new packet of that protocol spoils the sequence; without it a port scan may come upon the order.',
  }),
  time: Type.Optional(Value(timeout, { description: 'Most time from one knock to the next.' })),
  spa: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: 'The UDP port of signed datagrams, as the original takes.',
    }),
  ),
  open_secret: Type.Optional(secretFile),
  close_secret: Type.Optional(secretFile),
  spa2: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: 'The UDP port of datagrams that clients sign with their own keys.',
    }),
  ),
  clients: Type.Optional(secretFile),
  ipv4_prefixes: Type.Optional(prefixLengths(31)),
  ipv6_prefixes: Type.Optional(prefixLengths(127)),
  reply: Type.Boolean({
    default: false,
    description:
      'With `spa2`: whoever has signed is told until when the door is open. The port is no secret to clients then.',
  }),
  autoclose: Type.Optional(Value(timeout, { description: 'How long the source may come in; for ever when absent.' })),
  size: Type.Integer({
    minimum: 1,
    maximum: 1_048_576,
    default: 65_536,
    description: 'Most sources, of each family, that may come in, or are about to, at a time.',
  }),
});

export type KnockSpec = Static<typeof knockSchema>;
