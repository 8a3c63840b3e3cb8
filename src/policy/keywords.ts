/** The JSON Schema keywords that policies' schemas use, as the reader and the published schema see them. */

import type { TSchema } from 'typebox';
import { readingOf } from './types.js';

export interface Keywords {
  readonly type?: string;
  readonly description?: string;
  readonly anyOf?: readonly TSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
  readonly items?: TSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

export function keywordsOf(schema: TSchema): Keywords {
  return schema as Keywords;
}

/** The words that a schema of constants takes; undefined for any other schema. */
export function allowedWords(schema: TSchema): readonly string[] | undefined {
  if (readingOf(schema) !== undefined) return undefined;
  const { const: constant, enum: words, anyOf } = keywordsOf(schema);
  if (constant !== undefined) return [String(constant)];
  if (words !== undefined) return words.map(String);
  const alternatives = anyOf?.map(allowedWords);
  return alternatives?.every((each) => each !== undefined) ? alternatives.flat() : undefined;
}

export type Shape = 'text' | 'list' | 'map';

/** How a value of the schema is written; a list of one value may be the value alone. */
export function shapesOf(schema: TSchema): readonly Shape[] {
  switch (readingOf(schema)?.kind) {
    case 'format':
    case 'phrase':
      return ['text'];
    case 'choice':
      return ['text', 'list'];
    case 'named':
      return ['map'];
    case undefined:
      break;
  }
  const { type, anyOf, items } = keywordsOf(schema);
  if (anyOf !== undefined) return [...new Set(anyOf.flatMap(shapesOf))];
  if (type === 'array') return [...new Set<Shape>(['list', ...shapesOf(items ?? {})])];
  return type === 'object' ? ['map'] : ['text'];
}
