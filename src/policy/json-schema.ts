/**
 * The language as a JSON Schema (draft 7, which editors' YAML servers read), from the same descriptions that the reader goes
 * by. It says how a policy is written; what names refer to, and what can't work where it stands, only the reader knows.
 */

import { baseChains, newName } from './formats/names.js';
import { keywordsOf, shapesOf } from './keywords.js';
import { closed, oneOrMore, reference, SchemaWriter } from './schema-writer.js';
import * as sections from './sections/schemas.js';
import { type JsonSchema, Value } from './types.js';
import { usage } from './usage.js';
import { noWords, type Vocabulary } from './vocabulary.js';
import { type KnownAction, Lexicon } from './words/lexicon.js';
import { logSchema } from './words/log.js';

const anyScalar = ['string', 'number', 'boolean'];
const macros: JsonSchema = {
  type: 'object',
  propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
  additionalProperties: { type: [...anyScalar, 'array'], items: { type: [...anyScalar, 'array'] } },
};

/** The JSON Schema of policies with this vocabulary. */
export function policySchema(vocabulary: Vocabulary = noWords): JsonSchema {
  const lexicon = new Lexicon(vocabulary, sections.coreSectionNames);
  const writer = new SchemaWriter();
  const core = Object.entries(sections.coreSections).map(([name, { description, schema }]) => {
    return [name, { ...writer.write(schema), description }];
  });
  const extensions = [...lexicon.sections.values()].map(({ name, description, form, schema }) => {
    const written = writer.write(schema);
    return [
      name,
      { ...(form === 'single' ? written : { type: 'object', additionalProperties: written }), description },
    ];
  });
  const properties: Record<string, JsonSchema> = {
    ...Object.fromEntries(core),
    macros: { ...macros, description: sections.macrosDescription },
    chains: { ...chains(lexicon, writer), description: sections.chainsDescription },
    nat: { type: 'array', items: rule(true, lexicon, writer), description: sections.natDescription },
    ...Object.fromEntries(extensions),
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Postern policy',
    ...closed(properties),
    definitions: writer.definitions,
  };
}

function chains(lexicon: Lexicon, writer: SchemaWriter): JsonSchema {
  const rules = { type: 'array', items: rule(false, lexicon, writer) };
  const policy = writer.write(sections.policyVerdict);
  const base = Object.fromEntries(baseChains.map((name) => [name, closed({ policy, rules })]));
  const ingress = closed({ policy, on: writer.write(sections.chainDevices), rules }, ['on']);
  return { type: 'object', properties: { ...base, ingress }, additionalProperties: closed({ rules }) };
}

function rule(inNat: boolean, lexicon: Lexicon, writer: SchemaWriter): JsonSchema {
  return writer.define(inNat ? 'nat-rule' : 'rule', () => {
    const matches = lexicon.matchWords(inNat).flatMap((name) => lexicon.matches.get(name) ?? []);
    const negation = { type: 'string', pattern: '^not +\\S' };
    const words = matches.map(({ name, description, schema, negatable }) => {
      const written = writer.write(schema);
      const isText = shapesOf(schema).every((shape) => shape === 'text');
      const negations = isText ? [negation] : [negation, closed({ not: written }, ['not'])];
      return [name, { ...(negatable ? { anyOf: [written, ...negations] } : written), description }];
    });
    const properties: Record<string, JsonSchema> = {
      ...Object.fromEntries(words),
      do: { ...oneOrMore(action(lexicon, writer)), description: 'What to do: an action, or a list in its order.' },
      log: { ...writer.write(logSchema), description: 'Log what matches, before anything else is done.' },
      name: { ...writer.write(Value(newName('rule'))), description: 'A name of its own, for counters and messages.' },
    };
    return closed(properties, ['do']);
  });
}

function action(lexicon: Lexicon, writer: SchemaWriter): JsonSchema {
  return writer.define('action', () => {
    const actions = [...lexicon.actions.values()].flatMap((known) => forms(known, writer));
    const log = closed({ log: writer.write(logSchema) }, ['log']);
    return { anyOf: [...actions, log, reference('macro')] };
  });
}

/** A sentence, or the bare word and the map of one key. */
function forms({ name, description, schema, sentence, bare }: KnownAction, writer: SchemaWriter): JsonSchema[] {
  const alone = { const: name, description };
  if (sentence === undefined) {
    return [...(bare ? [alone] : []), { ...closed({ [name]: writer.write(schema) }, [name]), description }];
  }
  if (sentence.template === name) return [alone];
  const slots = keywordsOf(schema).properties ?? {};
  return [{ ...writer.sentence(sentence, slots), description: `${description} ${usage(sentence, slots)}` }];
}
