/** A vocabulary as extensions will bring it: of every shape that the frame must take. */

import { Type } from 'typebox';
import { addressTerm } from '../../src/policy/formats/addresses.js';
import { interfaceName } from '../../src/policy/formats/interfaces.js';
import { entryOf, tableName } from '../../src/policy/formats/names.js';
import { byteSize, duration, path, present, rate } from '../../src/policy/formats/values.js';
import { Misread } from '../../src/policy/scope.js';
import { ChoiceOf, ChoiceOrAny, type Format, NamedMap, Sentence, Value } from '../../src/policy/types.js';
import type { Vocabulary } from '../../src/policy/vocabulary.js';

const country: Format<string> = {
  name: 'country',
  label: 'COUNTRY',
  description: 'Two capital letters.',
  json: { type: 'string', pattern: '^[A-Z]{2}$' },
  parse: ({ value }) => {
    if (!/^[A-Z]{2}$/.test(value)) throw new Misread(`"${value}" is no country`, 'write two capital letters');
    return value;
  },
};

const className: Format<string> = {
  name: 'class-name',
  label: 'CLASS',
  description: 'A class of a queue.',
  json: { type: 'string' },
  parse: ({ value }) => value,
};

const interfaces = ChoiceOrAny(Value(interfaceName));
const secret = Type.Object({ file: Value(path) });

export const laterWords: Vocabulary = {
  matches: [
    {
      name: 'overload',
      description: 'Sources that connect too often go into a table.',
      schema: Type.Object({
        table: Value(tableName),
        conns: Type.Optional(Type.Integer({ minimum: 1 })),
        rate: Type.Optional(Value(rate)),
        flush: Type.Optional(Type.Union([Type.Literal('rule'), Type.Literal('global')])),
      }),
      places: ['input', 'forward'],
    },
    { name: 'helper', description: 'A tracking helper.', schema: Type.Literal('ftp'), needs: ['tcp', 'udp'] },
    { name: 'when', description: 'A condition.', schema: Value(entryOf('conditions')), negatable: true },
    { name: 'quota', description: 'A quota that is not used up.', schema: Value(entryOf('quotas')), negatable: true },
    { name: 'knock', description: 'A source that knocked.', schema: Value(entryOf('knocks')) },
    { name: 'banned', description: 'A source that blacklistd banned.', schema: Type.Literal('blacklistd') },
    {
      name: 'psd',
      description: 'A source that scans ports.',
      schema: Type.Object({
        weight_threshold: Type.Integer({ minimum: 1, maximum: 10_000, default: 21 }),
        delay_threshold: Value(duration, { default: '3s' }),
      }),
    },
    {
      name: 'geoip',
      description: 'Countries.',
      schema: Type.Object({
        from: Type.Optional(ChoiceOf(Value(country))),
        to: Type.Optional(ChoiceOf(Value(country))),
      }),
    },
    {
      name: 'ipv4options',
      description: 'IPv4 options.',
      schema: Type.Object({ any: Type.Optional(Value(present)) }),
    },
  ],
  actions: [
    { name: 'tarpit', description: 'Hold the connection.', schema: Type.Object({}), final: true },
    { name: 'delude', description: 'Pretend to be open.', schema: Type.Object({}), final: true },
    {
      name: 'chaos',
      description: 'Confuse scanners.',
      schema: Type.Object({ tarpit: Type.Optional(Type.Boolean()), delude: Type.Optional(Type.Boolean()) }),
      final: true,
    },
    {
      name: 'queue',
      description: 'Into a class of a queue.',
      schema: Type.Object({ class: Value(className) }),
      phrase: 'queue {class}',
    },
    {
      name: 'tee',
      description: 'A copy to a host.',
      schema: Type.Object({ to: Value(addressTerm) }),
      phrase: 'tee to {to}',
    },
    { name: 'echo', description: 'Send it back.', schema: Type.Object({ port: Type.Integer() }) },
  ],
  sections: [
    { name: 'quotas', description: 'Quotas.', form: 'named', schema: Type.Object({ bytes: Value(byteSize) }) },
    { name: 'conditions', description: 'Switches.', form: 'named', schema: Type.Boolean() },
    {
      name: 'knocks',
      description: 'Port knocking.',
      form: 'named',
      schema: Type.Object({
        ports: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }))),
        spa: Type.Optional(Type.Integer()),
        open_secret: Type.Optional(secret),
        close_secret: Type.Optional(secret),
        strict: Type.Optional(Type.Boolean()),
        time: Type.Optional(Value(duration)),
        autoclose: Type.Optional(Value(duration)),
      }),
    },
    {
      name: 'scrub',
      description: 'What is put right in packets.',
      form: 'single',
      schema: Type.Array(
        Type.Object({
          in: Type.Optional(interfaces),
          out: Type.Optional(interfaces),
          no_df: Type.Optional(Type.Boolean()),
          max_mss: Type.Optional(Type.Union([Type.Integer(), Type.Literal('fit')])),
          min_ttl: Type.Optional(Type.Integer({ minimum: 1, maximum: 255 })),
          random_id: Type.Optional(Type.Boolean()),
        }),
      ),
    },
    {
      name: 'antispoof',
      description: 'Interfaces whose networks come in nowhere else.',
      form: 'single',
      schema: Type.Union([Type.Array(Value(interfaceName)), Type.Object({ strict: Type.Boolean() })]),
    },
    {
      name: 'queues',
      description: 'Shaping.',
      form: 'named',
      schema: Type.Object({
        rate: Type.String({ pattern: '^[0-9]+[kMG]bit$' }),
        classes: NamedMap(
          className,
          Type.Object({
            rate: Type.String(),
            ceil: Type.Optional(Type.String()),
            default: Type.Optional(Type.Boolean()),
          }),
        ),
      }),
    },
    {
      name: 'log',
      description: 'Where logged packets go.',
      form: 'single',
      schema: Type.Object({ group: Type.Integer(), file: Value(path) }),
    },
    {
      name: 'blacklistd',
      description: 'The socket of blacklistd-aware daemons.',
      form: 'single',
      schema: Type.Object({
        socket: Value(path),
        config: Value(path),
        running: Type.Optional(Type.Union([Type.Literal('keep'), Type.Literal('cut')])),
      }),
    },
    {
      name: 'retention',
      description: 'A sentence at the top.',
      form: 'single',
      schema: Sentence('{count} days', Type.Object({ count: Type.Integer() })),
    },
  ],
};
