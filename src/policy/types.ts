/**
 * The building blocks of the language's schemas. A schema is a TypeBox schema; those made here also carry how their text
 * is read. The static type of each is the value as read, not the text.
 */

import type { Static, TObject, TSchema, TUnsafe } from 'typebox';
import type { Choice, Position } from './ast.js';
import type { Text } from './node.js';
import { type Phrase, phrase } from './phrase.js';
import { Type } from './schema-type.js';
import type { Scope } from './scope.js';

/** A JSON Schema of the written form. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** A kind of single value: how it is written, and how it is read. */
export interface Format<T> {
  /** Also the name of its definition in the JSON Schema. */
  readonly name: string;
  /** Stands for the value in usage lines: `ADDRESS`. */
  readonly label: string;
  /** What it is, with examples; one sentence. */
  readonly description: string;
  readonly json: JsonSchema;
  /** @throws Misread, or PosternError `invalid` */
  readonly parse: (text: Text, scope: Scope) => T;
}

/** How the reader goes about a schema that is more than a JSON Schema says. */
export type Reading =
  | { readonly kind: 'format'; readonly format: Format<unknown> }
  | { readonly kind: 'choice'; readonly item: TSchema; readonly orAny: boolean }
  | { readonly kind: 'phrase'; readonly phrase: Phrase; readonly slots: TObject }
  | { readonly kind: 'named'; readonly name: Format<string>; readonly value: TSchema };

const readingKey = '~postern';

export interface ValueOptions {
  readonly description?: string;
  /** As it would be written. */
  readonly default?: string;
  /** Of numbers, in the unit of the value as read. */
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A single value of a format. */
export function Value<T>(format: Format<T>, options: ValueOptions = {}): TUnsafe<T> {
  return read<T>({ kind: 'format', format }, options);
}

/** One value or a list; `not X` in it excludes. */
export function ChoiceOf<S extends TSchema>(item: S, options: ValueOptions = {}): TUnsafe<Choice<Static<S>>> {
  return read({ kind: 'choice', item, orAny: false }, options);
}

/** As `ChoiceOf`, or the word `any`. */
export function ChoiceOrAny<S extends TSchema>(
  item: S,
  options: ValueOptions = {},
): TUnsafe<Choice<Static<S>> | 'any'> {
  return read({ kind: 'choice', item, orAny: true }, options);
}

/** A sentence with slots, such as `{count} per {per}`; read as the object of its slots. */
export function Sentence<S extends TObject>(
  template: string,
  slots: S,
  options: ValueOptions = {},
): TUnsafe<Static<S>> {
  return read({ kind: 'phrase', phrase: phrase(template), slots }, options);
}

/** What a name stands for, and where it stands. */
export interface NamedValue<T> {
  readonly at: Position;
  readonly value: T;
}

/** A map from names that the user chooses. */
export function NamedMap<S extends TSchema>(
  name: Format<string>,
  value: S,
  options: ValueOptions = {},
): TUnsafe<ReadonlyMap<string, NamedValue<Static<S>>>> {
  return read({ kind: 'named', name, value }, options);
}

/** How the schema's text is read, if it was made here. */
export function readingOf(schema: TSchema): Reading | undefined {
  return (schema as { readonly [readingKey]?: Reading })[readingKey];
}

function read<T>(reading: Reading, options: ValueOptions): TUnsafe<T> {
  return Type.Unsafe<T>({ ...options, [readingKey]: reading });
}
