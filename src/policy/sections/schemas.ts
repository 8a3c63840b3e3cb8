/** What stands at the top of a policy, as schemas. */

import type { TSchema } from 'typebox';
import { endpoint, network, tableEntry } from '../formats/addresses.js';
import { device, interfaceName } from '../formats/interfaces.js';
import { newName, tableName } from '../formats/names.js';
import { packetLine } from '../formats/packet.js';
import { path, timeout } from '../formats/values.js';
import { Type } from '../schema-type.js';
import { NamedMap, Value } from '../types.js';
import { apiEndpoint } from './api-endpoint.js';
import { builtinNames } from './builtin.js';
import { ipsetSchema } from './ipset.js';

/** Elements of a set in the kernel; about 100 bytes each. */
const largestSize = 16_777_216;
export const usualSize = 65_536;

function size(description: string) {
  return Type.Integer({ minimum: 1, maximum: largestSize, default: usualSize, description });
}

/** A secret is a file, never text in the policy. */
export const secretFile = Type.Object({ file: Value(path) }, { description: 'The file that holds the secret.' });

const tableSchema = Type.Object({
  entries: Type.Optional(
    Type.Array(Value(tableEntry), { description: 'What it holds from the start; `not` makes an exception.' }),
  ),
  file: Type.Optional(
    Value(path, { description: 'A list: one entry a line, `!` or `not` for an exception, `#` begins a comment.' }),
  ),
  builtin: Type.Optional(
    Type.Union(
      builtinNames.map((name) => Type.Literal(name)),
      { description: 'Entries that Postern knows: addresses that never come from the Internet, or private ones.' },
    ),
  ),
  timeout: Type.Optional(Value(timeout, { description: 'How long entries stay that are added without a time.' })),
  size: size('Most hosts, and most prefixes, of each family; above 100000 the prefixes lie in 32 kernel sets.'),
  counters: Type.Boolean({ default: false, description: 'Count packets and bytes of each entry.' }),
  backend: Type.Union([Type.Literal('nft'), Type.Literal('ipset')], {
    default: 'nft',
    description: 'What holds it in the kernel; an ipset is for rules of iptables.',
  }),
  ipset: Type.Optional(ipsetSchema),
  unknown: Type.Union([Type.Literal('adopt'), Type.Literal('remove')], {
    default: 'adopt',
    description: 'What becomes of entries that the kernel holds at a start and that nobody knows of.',
  }),
});

const accountSchema = Type.Union([
  Type.Array(Value(network), { minItems: 1 }),
  Type.Object({
    networks: Type.Array(Value(network), { minItems: 1, description: 'Whose addresses are counted.' }),
    size: size('Most addresses of each family and direction.'),
    keep: Type.Boolean({ default: false, description: 'Keep the counts over a restart of the machine.' }),
  }),
]);

const hygieneSchema = Type.Union([
  Type.Literal('default'),
  Type.Literal('off'),
  Type.Object({
    loopback: Type.Optional(Type.Boolean({ description: 'Accept what comes in by lo.' })),
    neighbor: Type.Optional(Type.Boolean({ description: 'Accept neighbour discovery, without which IPv6 stops.' })),
    invalid: Type.Optional(Type.Boolean({ description: 'Drop what connection tracking calls invalid.' })),
    bad_flags: Type.Optional(Type.Boolean({ description: 'Drop TCP flags that no connection has.' })),
  }),
]);

export const policyVerdict = Type.Union([Type.Literal('accept'), Type.Literal('drop'), Type.Literal('block')], {
  description: 'What becomes of packets that no rule decides; `block` is as `block_policy` says.',
});

export const chainDevices = Type.Array(Value(interfaceName), {
  minItems: 1,
  description: 'Ingress: the interfaces whose packets it sees.',
});

const pftabledSchema = Type.Object({
  listen: Value(endpoint),
  key: Type.Optional(secretFile),
  tables: Type.Optional(
    Type.Array(Value(tableName), { minItems: 1, description: 'The tables that clients may change.' }),
  ),
  force: Type.Optional(Value(tableName, { description: 'Every request goes to this table.' })),
  timeout: Type.Optional(Value(timeout, { description: 'Of entries that clients add.' })),
});

const apiSchema = Type.Object({
  listen: Type.Array(Value(apiEndpoint), {
    minItems: 1,
    description: 'A socket as unix:/path, or an address and port, which needs a token.',
  }),
  token: Type.Optional(secretFile),
});

/** A key at the top that is read by a schema alone. */
export interface CoreSection<S extends TSchema> {
  readonly description: string;
  readonly schema: S;
}

/** Sections that a schema describes in full; `chains`, `nat` and `macros` have readers of their own. */
export const coreSections = {
  version: { description: 'The version of the language: 1.', schema: Type.Union([Type.Literal('1')]) },
  interfaces: {
    description: 'Names for the network interfaces; with it, rules know no others.',
    schema: NamedMap(newName('interface'), Value(device)),
  },
  tables: {
    description: 'Sets of addresses that live on while the policy runs; in rules written <name>.',
    schema: NamedMap(newName('table'), tableSchema),
  },
  accounts: {
    description: 'Networks whose addresses are counted one by one, by the action `account`.',
    schema: NamedMap(newName('account'), accountSchema),
  },
  hygiene: {
    description: 'What every host needs before its rules: loopback and neighbour discovery by default.',
    schema: hygieneSchema,
  },
  block_policy: {
    description: 'What `block` does: drop silently, or return an answer.',
    schema: Type.Union([Type.Literal('drop'), Type.Literal('return')]),
  },
  must_survive: {
    description: 'Flows that a new policy may not cut, each by its first packet; an apply that would is refused.',
    schema: NamedMap(newName('rule'), Value(packetLine)),
  },
  pftabled: { description: 'Takes signed requests of pftabled clients over UDP.', schema: pftabledSchema },
  api: { description: 'Where the REST API and the commands reach the daemon.', schema: apiSchema },
} as const satisfies Record<string, CoreSection<TSchema>>;

export const macrosDescription = 'Names for values or lists of values; `$name` stands for them anywhere below.';
export const chainsDescription = 'The rules, by where packets pass; the first that decides wins.';
export const natDescription = 'Translation of addresses and ports; the first rule that matches wins.';

/** Every key at the top that the core knows. */
export const coreSectionNames: readonly string[] = [...Object.keys(coreSections), 'macros', 'chains', 'nat'];
