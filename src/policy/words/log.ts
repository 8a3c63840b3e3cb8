/** What a rule logs: the key `log:` and the action `log`. */

import type { Static } from 'typebox';
import { parseName } from '../../net/name.js';
import type { LogSpec } from '../ast.js';
import { present, rate } from '../formats/values.js';
import { Type } from '../schema-type.js';
import { Misread } from '../scope.js';
import { type Format, Value } from '../types.js';

export const logName: Format<string> = {
  name: 'log-name',
  label: 'NAME',
  description: 'What the line in the log begins with.',
  json: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_.-]*$', maxLength: 63 },
  parse: ({ value }) => {
    if (['false', 'off', 'no'].includes(value)) throw new Misread(`"${value}" logs nothing`, 'leave "log" out');
    return parseName('rule', value);
  },
};

const logOptions = Type.Object({
  name: Type.Optional(Value(logName)),
  first: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 30_000, description: 'Only so many packets, until the log is reset.' }),
  ),
  rate: Type.Optional(Value(rate, { description: 'No more than so many packets in a time.' })),
  body: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65_535, description: 'Bytes of each packet that are kept.' }),
  ),
  per: Type.Optional(
    Type.Union([Type.Literal('source'), Type.Literal('rule')], {
      description: '`first` and `rate` count for each source, or for the rule as a whole.',
    }),
  ),
});

export const logSchema = Type.Union([Value(present), Value(logName), logOptions]);

export function logSpec(value: Static<typeof logSchema>): LogSpec {
  if (value === true) return {};
  return typeof value === 'string' ? { name: value } : value;
}
