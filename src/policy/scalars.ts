/** A single text to a value, by a schema of a format, of constants, or of JSON's own scalars. */

import type { TSchema } from 'typebox';
import { allowedWords, type Keywords, keywordsOf } from './keywords.js';
import type { Text } from './node.js';
import { Misread, type Scope } from './scope.js';
import { didYouMean } from './suggest.js';
import { readingOf } from './types.js';

/** Words for yes and no, YAML 1.1's among them. */
const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['on', true],
  ['yes', true],
  ['false', false],
  ['off', false],
  ['no', false],
]);

/** @throws Misread, or PosternError `invalid` */
export function scalarValue(schema: TSchema, text: Text, scope: Scope): unknown {
  const reading = readingOf(schema);
  const keywords = keywordsOf(schema);
  const value = reading?.kind === 'format' ? reading.format.parse(text, scope) : jsonScalar(schema, text.value);
  if (typeof value === 'number') checkBounds(keywords, value, text.value);
  return value;
}

function jsonScalar(schema: TSchema, text: string): unknown {
  const words = allowedWords(schema);
  if (words !== undefined) return oneOf(text, words);
  const keywords = keywordsOf(schema);
  switch (keywords.type) {
    case 'integer':
      return integer(text);
    case 'number':
      return decimal(text);
    case 'boolean':
      return boolean(text);
    default:
      return plainText(text, keywords);
  }
}

/** @throws Misread with the closest of the words. */
export function oneOf(text: string, words: readonly string[]): string {
  if (words.includes(text)) return text;
  throw new Misread(`"${text}" is not ${alternatives(words)}`, didYouMean(text, words));
}

/** `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function integer(text: string): number {
  const value = /^(-?[0-9]+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new Misread(`"${text}" is not a whole number`);
  return value;
}

function decimal(text: string): number {
  const value = /^-?[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new Misread(`"${text}" is not a number`);
  return value;
}

function boolean(text: string): boolean {
  const value = booleans.get(text);
  if (value === undefined) throw new Misread(`"${text}" is not true or false`, didYouMean(text, booleans.keys()));
  return value;
}

function plainText(text: string, { minLength = 0, maxLength = 4096, pattern }: Keywords): string {
  if (text.length < minLength || text.length > maxLength) {
    throw new Misread(`this text has ${text.length} characters`, `it may have ${minLength} to ${maxLength}`);
  }
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(text)) {
    throw new Misread(`"${text}" has not the form ${pattern}`);
  }
  return text;
}

function checkBounds({ minimum, maximum }: Keywords, value: number, text: string): void {
  if ((minimum === undefined || value >= minimum) && (maximum === undefined || value <= maximum)) return;
  throw new Misread(`"${text}" is out of range`, boundsText(minimum, maximum));
}

function boundsText(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum === undefined) return `${maximum} is the most`;
  return maximum === undefined ? `${minimum} is the least` : `it goes from ${minimum} to ${maximum}`;
}
