/** The core's actions: the words of `do:`. */

import type { Static, TObject, TSchema } from 'typebox';
import type { Action, Position } from '../ast.js';
import { natTarget, network } from '../formats/addresses.js';
import { chainReference, entryOf, tableReference } from '../formats/names.js';
import { ports } from '../formats/ports.js';
import { mark, timeout } from '../formats/values.js';
import { Type } from '../schema-type.js';
import { Value } from '../types.js';
import type { ActionWord, Place } from '../vocabulary.js';
import { logName } from './log.js';

/** An action with what it becomes. */
export interface ActionDefinition extends ActionWord {
  readonly build: (spec: unknown, at: Position) => Action;
}

interface Definition<S extends TSchema> extends ActionWord {
  readonly schema: S;
  readonly build: (spec: Static<S>, at: Position) => Action;
}

/** Forgets the type of the options: only the reader, which goes by the same schema, hands them over. */
function define<S extends TSchema>({ build, ...word }: Definition<S>): ActionDefinition {
  return { ...word, build: (spec, at) => build(spec as Static<S>, at) };
}

/** Without options: the word is the action. */
function bare(
  action: 'accept' | 'drop' | 'block' | 'count' | 'return' | 'notrack',
  description: string,
  standing: { readonly final?: boolean; readonly places?: readonly Place[] } = {},
): ActionDefinition {
  return define({
    name: action,
    description,
    schema: Type.Object({}),
    phrase: action,
    ...standing,
    build: (_, at) => ({ at, action }),
  });
}

const filtering: readonly Place[] = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting'];
const everywhere: readonly Place[] = [...filtering, 'nat'];

const end = Type.Union([Type.Literal('source'), Type.Literal('destination')]);
const sticky = Type.Optional(Type.Literal('sticky'));
const portRange = Value(ports('tcp'));

/** The `sticky` word as the flag that it is. */
function flag(word: 'sticky' | undefined): { readonly sticky?: true } {
  return word === undefined ? {} : { sticky: true };
}

function translation<S extends TObject>(definition: Omit<Definition<S>, 'places'>): ActionDefinition {
  return define({ ...definition, places: ['nat'] });
}

export const coreActions: readonly ActionDefinition[] = [
  bare('accept', 'Let the packet pass.', { final: true, places: everywhere }),
  bare('drop', 'Discard it silently.', { final: true }),
  bare('block', 'Drop or refuse it, as `block_policy` says.', { final: true }),
  define({
    name: 'reject',
    description: 'Refuse it with an answer.',
    schema: Type.Object({
      with: Type.Optional(
        Type.Union(
          (['tcp-reset', 'port', 'host', 'net', 'admin'] as const).map((answer) => Type.Literal(answer)),
          { description: 'A TCP reset, or an ICMP error: port, host or network unreachable, or forbidden.' },
        ),
      ),
    }),
    phrase: 'reject [with {with}]',
    final: true,
    places: filtering.filter((place) => place !== 'postrouting'),
    build: (spec, at) => ({ at, action: 'reject', with: spec.with ?? 'default' }),
  }),
  bare('count', 'Count it and go on.', { places: everywhere }),
  bare('return', 'Leave this chain: on with the rules behind the jump, or with the policy of the chain.', {
    final: true,
  }),
  bare('notrack', 'Keep it out of connection tracking.', { places: ['prerouting', 'output'] }),
  define({
    name: 'jump',
    description: 'Go through a chain of your own, then on here.',
    schema: Type.Object({ chain: Value(chainReference) }),
    phrase: 'jump {chain}',
    build: ({ chain }, at) => ({ at, action: 'jump', chain }),
  }),
  define({
    name: 'goto',
    description: 'Go through a chain of your own, and not on here.',
    schema: Type.Object({ chain: Value(chainReference) }),
    phrase: 'goto {chain}',
    final: true,
    build: ({ chain }, at) => ({ at, action: 'goto', chain }),
  }),
  define({
    name: 'log',
    description: 'Log it and go on; options stand in the key `log:` of the rule.',
    schema: Type.Object({ name: Type.Optional(Value(logName)) }),
    phrase: 'log [{name}]',
    places: everywhere,
    build: (log, at) => ({ at, action: 'log', log }),
  }),
  define({
    name: 'mark',
    description: 'Set the mark of the packet, or of its connection.',
    schema: Type.Object({ of: Type.Optional(Type.Literal('connection')), mark: Value(mark) }),
    phrase: 'mark [{of}] {mark}',
    places: everywhere,
    build: ({ of, mark }, at) => ({ at, action: 'mark', of: of ?? 'packet', ...mark }),
  }),
  define({
    name: 'add',
    description: 'Put its source or destination into a table, with a timeout if wanted.',
    schema: Type.Object({ what: end, table: Value(tableReference), timeoutMs: Type.Optional(Value(timeout)) }),
    phrase: 'add {what} to {table} [for {timeoutMs}]',
    places: everywhere,
    build: (spec, at) => ({ at, action: 'add', ...spec }),
  }),
  define({
    name: 'delete',
    description: 'Take its source or destination out of a table.',
    schema: Type.Object({ what: end, table: Value(tableReference) }),
    phrase: 'delete {what} from {table}',
    places: everywhere,
    build: (spec, at) => ({ at, action: 'delete', ...spec }),
  }),
  define({
    name: 'account',
    description: 'Count it for each address of an account.',
    schema: Type.Object({ account: Value(entryOf('accounts')) }),
    phrase: 'account {account}',
    build: ({ account }, at) => ({ at, action: 'account', account }),
  }),
  translation({
    name: 'masquerade',
    description: 'Send it from the address of the interface that it leaves by.',
    schema: Type.Object({ port: Type.Optional(portRange) }),
    phrase: 'masquerade [port {port}]',
    build: (nat, at) => ({ at, action: 'masquerade', ...nat }),
  }),
  translation({
    name: 'snat',
    description: 'Send it from this address; `sticky`: a host always gets the same one of several.',
    schema: Type.Object({ to: Value(network), port: Type.Optional(portRange), sticky }),
    phrase: 'snat to {to} [port {port}] [{sticky}]',
    build: ({ sticky, ...nat }, at) => ({ at, action: 'snat', ...nat, ...flag(sticky) }),
  }),
  translation({
    name: 'dnat',
    description: 'Send it to this address, or to a server of a table.',
    schema: Type.Object({
      to: Value(natTarget),
      port: Type.Optional(portRange),
      pick: Type.Optional(
        Type.Union([Type.Literal('round-robin'), Type.Literal('random'), Type.Literal('source-hash')]),
      ),
      sticky,
    }),
    phrase: 'dnat to {to} [port {port}] [{pick}] [{sticky}]',
    build: ({ to, sticky, ...nat }, at) => ({ at, action: 'dnat', ...to, ...nat, ...flag(sticky) }),
  }),
  translation({
    name: 'redirect',
    description: 'Send it to this host, to another port.',
    schema: Type.Object({ port: portRange }),
    phrase: 'redirect to {port}',
    build: (nat, at) => ({ at, action: 'redirect', ...nat }),
  }),
  translation({
    name: 'map',
    description: 'Give an inside address or network an outside one, one to one, in both directions.',
    schema: Type.Object({ inside: Value(network), outside: Value(network) }),
    phrase: 'map {inside} to {outside}',
    build: (spec, at) => ({ at, action: 'map', ...spec }),
  }),
];
