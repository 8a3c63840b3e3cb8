/** Nodes and a schema to typed values. Whatever is wrong is reported where it stands, and reading goes on. */

import type { Static, TSchema } from 'typebox';
import { PosternError } from '../errors.js';
import type { Choice } from './ast.js';
import type { DiagnosticLog } from './diagnostics.js';
import { allowedWords, type Keywords, keywordsOf, type Shape, shapesOf } from './keywords.js';
import { type Entry, kindName, type Mapping, type Node, Text } from './node.js';
import { fillPhrase, type Phrase } from './phrase.js';
import { alternatives, oneOf, scalarValue } from './scalars.js';
import { Misread, type Scope } from './scope.js';
import { didYouMean } from './suggest.js';
import { type Format, type NamedValue, type Reading, readingOf } from './types.js';
import { usage } from './usage.js';

const shapeNames: Readonly<Record<Shape, string>> = { text: 'a single value', list: 'a list', map: 'a map' };

/** Longer lists of what is known help nobody. */
const mostListed = 12;

export class Reader {
  constructor(
    readonly log: DiagnosticLog,
    readonly scope: Scope,
  ) {}

  /**
   * Reads a node as its schema says.
   * @param name what is read, for messages: the key.
   * @returns undefined when something is wrong, which is then reported.
   */
  read<S extends TSchema>(schema: S, node: Node, name: string): Static<S> | undefined {
    return this.#read(schema, node, name) as Static<S> | undefined;
  }

  /** Reads a sentence; the values of its slots by name. */
  readPhrase(phrase: Phrase, slots: Readonly<Record<string, TSchema>>, text: Text): unknown {
    const takes = (slot: string, word: Text) => allowedWords(slots[slot] ?? {})?.includes(word.value) ?? true;
    const filled = fillPhrase(phrase, text.words(), takes);
    if ('slots' in filled) return this.#readSlots(slots, filled.slots);
    const { unexpected } = filled;
    const message =
      unexpected === undefined ? `"${text.value}" ends too early` : `"${unexpected.value}" has no place here`;
    this.report(text, new Misread(message, `write it as "${usage(phrase, slots)}"`, unexpected?.at));
    return undefined;
  }

  /** Reports what was thrown while a text was read; anything but a misread is a defect, and passes. */
  report(text: Text, error: unknown): void {
    const from = text.macro === undefined ? '' : ` (from ${text.macro})`;
    if (error instanceof Misread) this.log.error(error.at ?? text.at, error.message + from, error.hint);
    else if (error instanceof PosternError && error.code === 'invalid') this.log.error(text.at, error.message + from);
    else throw error;
  }

  /** Reports keys that are not among the known. */
  refuseUnknown(entries: readonly Entry[], known: readonly string[]): void {
    const words = known.length <= mostListed ? `known are ${listed(known)}` : undefined;
    for (const { key } of entries) {
      if (known.includes(key.value)) continue;
      this.log.error(key.at, `"${key.value}" is not known here`, didYouMean(key.value, known) ?? words);
    }
  }

  wrongKind(node: Node, name: string, wanted: string, hint?: string): undefined {
    if (node.kind === 'nothing') {
      if (!node.reported) this.log.error(node.at, `"${name}" has no value`);
      return undefined;
    }
    const shown = node.kind === 'text' ? `"${node.value}"` : kindName(node);
    this.log.error(node.at, `"${name}" takes ${wanted}, not ${shown}`, hint);
  }

  #read(schema: TSchema, node: Node, name: string): unknown {
    if (node.kind === 'nothing') return this.wrongKind(node, name, 'a value');
    const reading = readingOf(schema);
    if (reading !== undefined && reading.kind !== 'format') return this.#readOwn(reading, node, name);
    const { anyOf, type, ...keywords } = keywordsOf(schema);
    if (anyOf !== undefined && allowedWords(schema) === undefined) return this.#readAnyOf(anyOf, node, name);
    if (type === 'array') return this.#readArray(keywords, node, name);
    if (type === 'object') return this.#readObject(keywords, node, name);
    return node.kind === 'text' ? this.#readScalar(schema, node) : this.wrongKind(node, name, shapeNames.text);
  }

  #readOwn(reading: Exclude<Reading, { kind: 'format' }>, node: Node, name: string): unknown {
    switch (reading.kind) {
      case 'choice':
        return this.#readChoice(reading.item, reading.orAny, node, name);
      case 'named':
        if (node.kind !== 'map') return this.wrongKind(node, name, 'a map from names');
        return this.#readNamed(reading.name, reading.value, node);
      case 'phrase':
        if (node.kind !== 'text') return this.wrongKind(node, name, shapeNames.text);
        return this.readPhrase(reading.phrase, keywordsOf(reading.slots).properties ?? {}, node);
    }
  }

  #readSlots(slots: Readonly<Record<string, TSchema>>, words: ReadonlyMap<string, Text>): unknown {
    const values: Record<string, unknown> = {};
    let failed = false;
    for (const [slot, word] of words) {
      const value = this.#read(slots[slot] ?? {}, word, slot);
      if (value === undefined) failed = true;
      else values[slot] = value;
    }
    return failed ? undefined : values;
  }

  #readScalar(schema: TSchema, text: Text): unknown {
    try {
      return scalarValue(schema, text, this.scope);
    } catch (error) {
      this.report(text, error);
      return undefined;
    }
  }

  /** Each shape goes to the alternatives that take it; a text with several goes to the constants, then in their order. */
  #readAnyOf(schemas: readonly TSchema[], node: Node, name: string): unknown {
    const shape = node.kind as Shape;
    const takers = schemas.filter((schema) => shapesOf(schema).includes(shape));
    if (takers.length === 0) {
      const shapes = [...new Set(schemas.flatMap(shapesOf))];
      return this.wrongKind(node, name, alternatives(shapes.map((one) => shapeNames[one])));
    }
    if (node.kind !== 'text' || takers.length === 1) return this.#read(takers[0]!, node, name);
    const words = takers.flatMap((schema) => allowedWords(schema) ?? []);
    const others = takers.filter((schema) => allowedWords(schema) === undefined);
    const last = others.pop();
    if (last === undefined || words.includes(node.value)) return this.#readWord(node, words);
    for (const schema of others) {
      const value = this.#attempt(schema, node);
      if (value !== undefined) return value;
    }
    return this.#read(last, node, name);
  }

  #readWord(text: Text, words: readonly string[]): string | undefined {
    try {
      return oneOf(text.value, words);
    } catch (error) {
      this.report(text, error);
      return undefined;
    }
  }

  #attempt(schema: TSchema, text: Text): unknown {
    try {
      return scalarValue(schema, text, this.scope);
    } catch (error) {
      if (error instanceof Misread || (error instanceof PosternError && error.code === 'invalid')) return undefined;
      throw error;
    }
  }

  /** A single value is a list of one. */
  #readArray({ items = {}, minItems = 0, maxItems }: Keywords, node: Node, name: string): unknown[] | undefined {
    const nodes = node.kind === 'list' ? node.items : [node];
    if (nodes.length < minItems) {
      this.log.error(node.at, `"${name}" has ${nodes.length} values`, `${minItems} is the least`);
      return undefined;
    }
    if (maxItems !== undefined && nodes.length > maxItems) {
      this.log.error(node.at, `"${name}" has ${nodes.length} values`, `${maxItems} is the most`);
      return undefined;
    }
    const values = nodes.map((item) => this.#read(items, item, name));
    return values.includes(undefined) ? undefined : values;
  }

  #readChoice(item: TSchema, orAny: boolean, node: Node, name: string): Choice<unknown> | 'any' | undefined {
    if (orAny && node.kind === 'text' && node.value === 'any') return 'any';
    if (node.kind === 'map') return this.wrongKind(node, name, 'a value or a list of values');
    const members = node.kind === 'list' ? node.items : [node];
    if (members.length === 0) {
      this.log.error(node.at, `"${name}" is an empty list, which nothing matches`, 'leave it out to match everything');
      return undefined;
    }
    const any: unknown[] = [];
    const not: unknown[] = [];
    for (const member of members) {
      const excluded = member.kind === 'text' ? member.negated() : undefined;
      const value = excluded?.value.startsWith('[')
        ? this.#negatedList(excluded)
        : this.#read(item, excluded ?? member, name);
      (excluded === undefined ? any : not).push(value);
    }
    return any.includes(undefined) || not.includes(undefined) ? undefined : { any, not };
  }

  /** YAML takes `not [a, b]` for a text. */
  #negatedList(list: Text): undefined {
    this.log.error(list.at, `"not" stands before a value, not before a list`, 'write [not a, not b]');
  }

  #readNamed(format: Format<string>, schema: TSchema, map: Mapping): ReadonlyMap<string, unknown> | undefined {
    const values = new Map<string, NamedValue<unknown>>();
    let failed = false;
    for (const { key, value: node } of map.entries) {
      const name = this.readName(format, key);
      const value = this.#read(schema, node, key.value);
      if (name === undefined || value === undefined) failed = true;
      else values.set(name, { at: key.at, value });
    }
    return failed ? undefined : values;
  }

  /** Reads a key that the user chose. */
  readName(format: Format<string>, key: Text): string | undefined {
    try {
      return format.parse(key, this.scope);
    } catch (error) {
      this.report(key, error);
      return undefined;
    }
  }

  #readObject({ properties = {}, required = [] }: Keywords, node: Node, name: string): unknown {
    if (node.kind !== 'map') return this.wrongKind(node, name, shapeNames.map, exampleOf(Object.keys(properties)));
    this.refuseUnknown(node.entries, Object.keys(properties));
    const values: Record<string, unknown> = {};
    let failed = node.entries.some(({ key }) => !Object.hasOwn(properties, key.value));
    for (const [key, schema] of Object.entries(properties)) {
      const written = node.entries.find((entry) => entry.key.value === key)?.value ?? writtenDefault(schema, node);
      const value = written === undefined ? undefined : this.#read(schema, written, key);
      if (value !== undefined) values[key] = value;
      else if (written !== undefined) failed = true;
      else if (required.includes(key)) {
        this.log.error(node.at, `"${key}" is missing in "${name}"`);
        failed = true;
      }
    }
    return failed ? undefined : values;
  }
}

/** How a map of few keys is written. */
function exampleOf(keys: readonly string[]): string | undefined {
  if (keys.length === 0 || keys.length > mostListed) return undefined;
  return `write it as { KEY: VALUE } of the keys ${listed(keys)}`;
}

const listed = (names: readonly string[]): string => alternatives(names).replace(' or ', ' and ');

/** Defaults are given as they would be written, and read as if they had been. */
function writtenDefault(schema: TSchema, parent: Mapping): Text | undefined {
  const { default: written } = keywordsOf(schema);
  return written === undefined ? undefined : new Text(String(written), parent.at, false);
}
