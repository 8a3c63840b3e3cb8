/** Shapes that several routes share, as JSON Schema: requests are checked by them, OpenAPI is made from them. */

import { type TObject, type TProperties, Type } from 'typebox';

/** An object that takes no other keys: a misspelt key must not be ignored. */
export function strict<P extends TProperties>(properties: P, options: { description?: string } = {}): TObject<P> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

export const ErrorShape = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ examples: ['not-found'] }),
      message: Type.String(),
      details: Type.Optional(Type.Unknown()),
    }),
  },
  { description: 'Every error has this shape; the HTTP status follows from the code.' },
);

const maxCommentLength = 127;

/** Longest text of an address, a prefix or a duration that can make sense. */
const maxWordLength = 64;

export const TableName = strict({ table: Type.String({ maxLength: maxWordLength }) });

export const AccountName = strict({ account: Type.String({ maxLength: maxWordLength }) });

export const AddressText = Type.String({
  maxLength: maxWordLength,
  description: 'A host or a prefix of either family.',
  examples: ['192.0.2.7', '2001:db8::/32'],
});

export const AddressInput = strict({ address: AddressText });

export const EntryInput = strict({
  address: AddressText,
  not: Type.Optional(Type.Boolean({ description: 'An exception: addresses in it are not in the table.' })),
  timeout: Type.Optional(
    Type.String({
      maxLength: maxWordLength,
      description: "A duration, or 'never'. The table's own when absent.",
      examples: ['10m', 'never'],
    }),
  ),
  comment: Type.Optional(Type.String({ maxLength: maxCommentLength })),
});

const Count = Type.Integer({ minimum: 0 });

/** Counters of the kernel, 64 bits: the serializer writes all their digits. */
const Counter = Type.Unsafe<bigint>({ type: 'integer', minimum: 0 });

/** Instants leave as RFC 3339 text in UTC. */
export const Instant = Type.String({ format: 'date-time' });

export const EntryOutput = Type.Object({
  address: Type.String(),
  not: Type.Optional(Type.Boolean()),
  timeout: Type.Optional(Type.String({ description: 'What it was added with.' })),
  expiresAt: Type.Optional(Instant),
  comment: Type.Optional(Type.String()),
  source: Type.Object({ kind: Type.String(), id: Type.String() }),
  addedAt: Instant,
  packets: Type.Optional(Counter),
  bytes: Type.Optional(Counter),
});

export const Changes = Type.Object({
  added: Count,
  changed: Count,
  deleted: Count,
  unchanged: Type.Integer({ minimum: 0, description: 'Already as asked.' }),
  refused: Type.Integer({ minimum: 0, description: 'The policy itself says otherwise of the same prefix.' }),
});

export const TableOutput = Type.Object({
  name: Type.String(),
  timeout: Type.Optional(Type.String({ description: 'Of entries that are added without one; absent: never.' })),
  size: Type.Integer({ description: 'Bound on hosts, and on prefixes, per family.' }),
  hosts: Count,
  prefixes: Count,
  backend: Type.String(),
});

const TrafficCount = Type.Object({ packets: Counter, bytes: Counter });

export const AccountOutput = Type.Object({
  name: Type.String(),
  networks: Type.Array(Type.String()),
  size: Type.Integer({ description: 'Bound on addresses per family and direction.' }),
});

export const ReadingOutput = Type.Object({
  account: Type.String(),
  at: Instant,
  rows: Type.Array(Type.Object({ address: Type.String(), source: TrafficCount, destination: TrafficCount })),
  overflow: Type.Object(TrafficCount.properties, {
    description: 'Packets of addresses that found the account full; counted here and nowhere else.',
  }),
});

export const PolicyInput = strict(
  {
    file: Type.String({
      maxLength: 4096,
      description: 'Name of the file, for messages; lists are read from beside it.',
    }),
    text: Type.String(),
  },
  { description: 'Another policy than the one in force.' },
);

export const PlanOutput = Type.Object({
  empty: Type.Boolean(),
  changes: Type.Array(
    Type.Object({
      action: Type.String({ examples: ['add', 'delete', 'change'] }),
      kind: Type.String({ examples: ['table', 'chain', 'rule', 'set', 'object', 'entry'] }),
      name: Type.String(),
      text: Type.Optional(Type.String()),
      origin: Type.Optional(Type.Object({ file: Type.String(), line: Type.Integer(), column: Type.Integer() })),
    }),
  ),
  warnings: Type.Array(Type.String()),
});
