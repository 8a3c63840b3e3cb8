/** Schemas of the language's values to JSON Schema: what the reader takes, as an editor can check it. */

import type { TSchema } from 'typebox';
import { allowedWords, type Keywords, keywordsOf } from './keywords.js';
import type { Part, Phrase } from './phrase.js';
import { type Format, type JsonSchema, type Reading, readingOf } from './types.js';
import { usage } from './usage.js';

const macro: JsonSchema = { type: 'string', pattern: '\\$[A-Za-z_]', description: 'A macro: $name.' };
const negation: JsonSchema = { type: 'string', pattern: '^not +\\S' };

export function reference(definition: string): JsonSchema {
  return { $ref: `#/definitions/${definition}` };
}

/** A map that has no other keys. */
export function closed(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema {
  return {
    type: 'object',
    properties,
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

export function oneOrMore(item: JsonSchema): JsonSchema {
  return { anyOf: [item, { type: 'array', items: item }] };
}

/** Collects the definitions that the written schemas refer to. */
export class SchemaWriter {
  readonly #definitions: Record<string, JsonSchema> = { macro };

  get definitions(): Readonly<Record<string, JsonSchema>> {
    return this.#definitions;
  }

  /** Writes a definition when it is first asked for. */
  define(name: string, write: () => JsonSchema): JsonSchema {
    this.#definitions[name] ??= write();
    return reference(name);
  }

  write(schema: TSchema): JsonSchema {
    const keywords = keywordsOf(schema);
    const { description, default: written } = keywords;
    return {
      ...this.#form(schema, keywords),
      ...(description === undefined ? {} : { description }),
      ...(written === undefined ? {} : { default: written }),
    };
  }

  /** A sentence with slots as a pattern. */
  sentence(phrase: Phrase, slots: Readonly<Record<string, TSchema>>): JsonSchema {
    const slot = (name: string) => allowedWords(slots[name] ?? {})?.join('|') ?? '\\S+';
    return { type: 'string', pattern: phrasePattern(phrase, slot) };
  }

  #form(schema: TSchema, keywords: Keywords): JsonSchema {
    const reading = readingOf(schema);
    if (reading !== undefined) return this.#ownForm(reading);
    const words = allowedWords(schema);
    if (words !== undefined) return { anyOf: [{ enum: words.map(asYaml) }, reference('macro')] };
    const { anyOf, type, items = {}, properties = {}, required = [], minimum, maximum } = keywords;
    if (anyOf !== undefined) return { anyOf: anyOf.map((each) => this.write(each)) };
    switch (type) {
      case 'array':
        return oneOrMore(this.write(items));
      case 'object': {
        const written = Object.entries(properties).map(([name, each]) => [name, this.write(each)] as const);
        const needed = required.filter((name) => keywordsOf(properties[name] ?? {}).default === undefined);
        return closed(Object.fromEntries(written), needed);
      }
      case 'boolean':
        return { anyOf: [{ type }, { enum: ['on', 'off', 'yes', 'no'] }, reference('macro')] };
      case 'integer':
      case 'number':
        return { anyOf: [{ type, ...defined({ minimum, maximum }) }, reference('macro')] };
      default: {
        const { pattern, minLength, maxLength } = keywords;
        return {
          anyOf: [asText({ type: 'string', ...defined({ pattern, minLength, maxLength }) }), reference('macro')],
        };
      }
    }
  }

  #ownForm(reading: Reading): JsonSchema {
    switch (reading.kind) {
      case 'format':
        return this.#format(reading.format);
      case 'choice': {
        const choice = oneOrMore({ anyOf: [this.write(reading.item), negation] });
        return reading.orAny ? { anyOf: [{ const: 'any' }, choice] } : choice;
      }
      case 'named':
        return { type: 'object', additionalProperties: this.write(reading.value), propertyNames: reading.name.json };
      case 'phrase': {
        const slots = keywordsOf(reading.slots).properties ?? {};
        const written = { ...this.sentence(reading.phrase, slots), description: usage(reading.phrase, slots) };
        return { anyOf: [written, ...this.#alone(reading.phrase, slots), reference('macro')] };
      }
    }
  }

  /** A phrase may be one word, which YAML reads as a number. */
  #alone({ pieces }: Phrase, slots: Readonly<Record<string, TSchema>>): JsonSchema[] {
    const [only, ...more] = pieces.filter((piece) => !('optional' in piece));
    if (only === undefined || more.length > 0 || !('slot' in only)) return [];
    return [this.write(slots[only.slot] ?? {})];
  }

  #format({ name, description, json }: Format<unknown>): JsonSchema {
    return this.define(name, () => ({ description, anyOf: [asText(json), reference('macro')] }));
  }
}

/** What a YAML reader makes of the word. */
function asYaml(word: string): unknown {
  if (word === 'true' || word === 'false') return word === 'true';
  return /^[0-9]+$/.test(word) ? Number(word) : word;
}

/** A text that YAML may take for a number or a truth value is still that text. */
function asText(json: JsonSchema): JsonSchema {
  if (Array.isArray(json.anyOf)) return { ...json, anyOf: json.anyOf.map(asText) };
  if (json.type !== 'string') return json;
  const takes = (text: string) => typeof json.pattern !== 'string' || new RegExp(json.pattern, 'u').test(text);
  const type = ['string', ...(takes('1') ? ['number'] : []), ...(takes('true') ? ['boolean'] : [])];
  return { ...json, type: type.length === 1 ? 'string' : type };
}

function defined(keywords: Readonly<Record<string, unknown>>): JsonSchema {
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== undefined));
}

/** Optional parts may stand anywhere behind their place. */
function phrasePattern({ pieces }: Phrase, slot: (name: string) => string): string {
  const part = (one: Part) => ('word' in one ? one.word : `(${slot(one.slot)})`);
  const optional: string[] = [];
  const gap = () => (optional.length === 0 ? '' : `((${optional.join('|')}) +)*`);
  const required: string[] = [];
  for (const piece of pieces) {
    if ('optional' in piece) optional.push(piece.optional.map(part).join(' +'));
    else required.push(gap() + part(piece));
  }
  const rest = optional.length === 0 ? '' : `( +(${optional.join('|')}))*`;
  return `^${required.join(' +')}${rest}$`;
}
