/** The core's matches: the keys of a rule that must hold. */

import type { Static, TSchema } from 'typebox';
import type { ConntrackState, Match, Position } from '../ast.js';
import { addressTerm } from '../formats/addresses.js';
import { flagTest } from '../formats/flags.js';
import { icmpTerm } from '../formats/icmp.js';
import { interfaceName } from '../formats/interfaces.js';
import { owner, ports, protocol } from '../formats/ports.js';
import { byteSize, mark, present, rate } from '../formats/values.js';
import { Type } from '../schema-type.js';
import { ChoiceOf, ChoiceOrAny, Sentence, Value } from '../types.js';
import type { MatchWord, Place } from '../vocabulary.js';

/** How a word is used in a rule. */
export interface Use {
  readonly at: Position;
  readonly negated: boolean;
}

/** A match with what it becomes. */
export interface MatchDefinition extends MatchWord {
  readonly build: (value: unknown, use: Use) => Match;
}

interface Definition<S extends TSchema> extends MatchWord {
  readonly schema: S;
  readonly build: (value: Static<S>, use: Use) => Match;
}

/** Forgets the type of the value: only the reader, which goes by the same schema, hands it over. */
function define<S extends TSchema>({ build, ...word }: Definition<S>): MatchDefinition {
  return { ...word, build: (value, use) => build(value as Static<S>, use) };
}

const counted = Type.Union([Type.Literal('source'), Type.Literal('destination'), Type.Literal('rule')], {
  description: 'Counted for each source address, for each destination address, or for the rule as a whole.',
});

const conntrackStates: readonly ConntrackState[] = [
  'new',
  'established',
  'related',
  'invalid',
  'untracked',
  'dnat',
  'snat',
];

const arriving: readonly Place[] = ['ingress', 'prerouting', 'input', 'forward', 'postrouting', 'nat'];
const leaving: readonly Place[] = ['forward', 'output', 'postrouting', 'nat'];
const tracked: readonly Place[] = ['prerouting', 'input', 'forward', 'output', 'postrouting', 'nat'];

const interfaces = ChoiceOrAny(Value(interfaceName));
const addresses = ChoiceOrAny(Value(addressTerm));
const tcpPorts = ChoiceOrAny(Value(ports('tcp')));
const udpPorts = ChoiceOrAny(Value(ports('udp')));

export const coreMatches: readonly MatchDefinition[] = [
  define({
    name: 'in',
    description: 'The interface that the packet came in by; `any`: it arrives here.',
    schema: interfaces,
    places: arriving,
    build: (interfaces, { at }) => ({ at, word: 'in', interfaces }),
  }),
  define({
    name: 'out',
    description: 'The interface that the packet leaves by; `any`: it leaves here.',
    schema: interfaces,
    places: leaving,
    build: (interfaces, { at }) => ({ at, word: 'out', interfaces }),
  }),
  define({
    name: 'via',
    description: 'The interface that the packet came in by, or leaves by.',
    schema: interfaces,
    build: (interfaces, { at }) => ({ at, word: 'via', interfaces }),
  }),
  define({
    name: 'on',
    description: 'The interface of a `map`: outside addresses are seen there.',
    schema: interfaces,
    places: ['nat'],
    excludes: ['in', 'out', 'via'],
    build: (interfaces, { at }) => ({ at, word: 'via', interfaces }),
  }),
  define({
    name: 'from',
    description: 'Where the packet comes from.',
    schema: addresses,
    build: (addresses, { at }) => ({ at, word: 'from', addresses }),
  }),
  define({
    name: 'to',
    description: 'Where the packet goes.',
    schema: addresses,
    build: (addresses, { at }) => ({ at, word: 'to', addresses }),
  }),
  define({
    name: 'family',
    description: 'IPv4 or IPv6 only; a rule serves both otherwise.',
    schema: Type.Union([Type.Literal('ipv4'), Type.Literal('ipv6')]),
    build: (family, { at }) => ({ at, word: 'family', family: family === 'ipv4' ? 4 : 6 }),
  }),
  define({
    name: 'proto',
    description: 'The protocol, by name or number.',
    schema: ChoiceOf(Value(protocol)),
    build: (protocols, { at }) => ({ at, word: 'proto', protocols }),
  }),
  define({
    name: 'tcp',
    description: 'TCP to these ports, or `any`.',
    schema: tcpPorts,
    excludes: ['udp', 'port', 'icmp'],
    build: (ports, { at }) => ({ at, word: 'tcp', ports }),
  }),
  define({
    name: 'udp',
    description: 'UDP to these ports, or `any`.',
    schema: udpPorts,
    excludes: ['port', 'icmp', 'flags'],
    build: (ports, { at }) => ({ at, word: 'udp', ports }),
  }),
  define({
    name: 'port',
    description: 'TCP or UDP to these ports, or `any`.',
    schema: tcpPorts,
    excludes: ['icmp', 'flags'],
    build: (ports, { at }) => ({ at, word: 'port', ports }),
  }),
  define({
    name: 'sport',
    description: 'From these ports; with `tcp`, `udp`, `port` or `proto`.',
    schema: tcpPorts,
    needs: ['tcp', 'udp', 'port', 'proto'],
    excludes: ['icmp'],
    build: (ports, { at }) => ({ at, word: 'sport', ports }),
  }),
  define({
    name: 'icmp',
    description: 'ICMP messages, of both families at once, or `any`.',
    schema: ChoiceOrAny(Value(icmpTerm)),
    excludes: ['flags'],
    build: (types, { at }) => ({ at, word: 'icmp', types }),
  }),
  define({
    name: 'flags',
    description:
      'TCP flags: set ones, and behind a slash those that are looked at; a list is "one of". `any`: do not look.',
    schema: Type.Union([Type.Literal('any'), Type.Array(Value(flagTest), { minItems: 1, maxItems: 16 })]),
    build: (flags, { at }) => ({ at, word: 'flags', flags }),
  }),
  define({
    name: 'fragment',
    description: 'Fragments, before they are put together; such a rule can only drop, count and log.',
    schema: Value(present),
    places: ['ingress', 'prerouting', 'input', 'forward'],
    excludes: ['out', 'via', 'tcp', 'udp', 'port', 'sport', 'icmp', 'flags', 'state', 'conns', 'user', 'group'],
    build: (_, { at }) => ({ at, word: 'fragment' }),
  }),
  define({
    name: 'short',
    description: 'Packets of TCP and UDP that are too short to hold their header.',
    schema: Value(present),
    excludes: ['icmp'],
    build: (_, { at }) => ({ at, word: 'short' }),
  }),
  define({
    name: 'state',
    description: 'What connection tracking says; `dnat` and `snat`: the connection is translated.',
    schema: ChoiceOf(Type.Union(conntrackStates.map((state) => Type.Literal(state)))),
    places: tracked,
    build: (states, { at }) => ({ at, word: 'state', states }),
  }),
  define({
    name: 'mark',
    description: 'The mark of the packet, or of its connection: 0x10, 0x10/0xff, connection 0x10.',
    schema: Sentence(
      '[{of}] {value}',
      Type.Object({
        of: Type.Optional(Type.Union([Type.Literal('packet'), Type.Literal('connection')])),
        value: Value(mark),
      }),
    ),
    negatable: true,
    build: ({ of = 'packet', value }, { at, negated }) => ({ at, word: 'mark', of, ...value, negated }),
  }),
  define({
    name: 'limit',
    description: 'Holds as long as no more packets, or bytes, come: 15/5s, 10MB/1s burst 1MB, 5/1m per source.',
    schema: Sentence(
      '{rate} [burst {burst}] [per {per}]',
      Type.Object({ rate: Value(rate), burst: Type.Optional(Value(byteSize)), per: Type.Optional(counted) }),
    ),
    places: tracked.filter((place) => place !== 'nat').concat('ingress'),
    build: ({ rate, burst, per }, { at }) => ({
      at,
      word: 'limit',
      rate: { ...rate, ...(burst === undefined ? {} : { burst }) },
      ...(per === undefined ? {} : { per }),
    }),
  }),
  define({
    name: 'user',
    description: 'The owner of the local socket that sends; in output only.',
    schema: ChoiceOf(Value(owner('user'))),
    places: ['output'],
    build: (ids, { at }) => ({ at, word: 'user', ids }),
  }),
  define({
    name: 'group',
    description: 'The group of the local socket that sends; in output only.',
    schema: ChoiceOf(Value(owner('group'))),
    places: ['output'],
    build: (ids, { at }) => ({ at, word: 'group', ids }),
  }),
  define({
    name: 'conns',
    description: 'At most so many connections at a time by this rule: 2 per source.',
    schema: Sentence(
      '{count} per {per}',
      Type.Object({ count: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }), per: counted }),
    ),
    places: ['prerouting', 'input', 'forward', 'output'],
    build: ({ count, per }, { at }) => ({ at, word: 'conns', count, per }),
  }),
];
