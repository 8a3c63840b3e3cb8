/**
 * The constructors of the schemas that a language is described with: those of TypeBox, with its types and its form. They
 * are made here because TypeBox is 370 modules, and every command that reads a policy would wait for all of them.
 */

import type { TSchema } from 'typebox';

type Constructors = Pick<
  typeof import('typebox').Type,
  'Array' | 'Boolean' | 'Integer' | 'Literal' | 'Number' | 'Object' | 'Optional' | 'String' | 'Union' | 'Unsafe'
>;

/** Marks a property that may be absent, as TypeBox marks it. */
const OPTIONAL = '~optional';

type Keywords = Readonly<Record<string, unknown>>;

const typed =
  (type: string) =>
  (options: Keywords = {}): Keywords => ({ type, ...options });

const constructors = {
  Array: (items: TSchema, options: Keywords = {}): Keywords => ({ type: 'array', items, ...options }),
  Boolean: typed('boolean'),
  Integer: typed('integer'),
  Literal: (value: unknown, options: Keywords = {}): Keywords => ({ type: typeof value, const: value, ...options }),
  Number: typed('number'),
  Object(properties: Readonly<Record<string, TSchema>>, options: Keywords = {}): Keywords {
    const required = Object.keys(properties).filter((name) => !Object.hasOwn(properties[name]!, OPTIONAL));
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...options };
  },
  Optional(schema: TSchema): TSchema {
    const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema));
    return Object.defineProperty(copy, OPTIONAL, { value: true, enumerable: false });
  },
  String: typed('string'),
  Union: (anyOf: readonly TSchema[], options: Keywords = {}): Keywords => ({ anyOf, ...options }),
  Unsafe: (schema: TSchema): TSchema => schema,
};

export const Type = constructors as unknown as Constructors;
