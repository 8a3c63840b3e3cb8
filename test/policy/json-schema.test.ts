import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Check } from 'typebox/schema';
import { parse } from 'yaml';
import { vocabulary } from '../../src/extensions/registry.js';
import { policySchema } from '../../src/policy/json-schema.js';
import { laterWords } from './later-words.js';

const schema = policySchema();
const takes = (text: string, of = schema) => Check(of, parse(text));

test('the schema is JSON, and every reference in it leads somewhere', () => {
  const text = JSON.stringify(policySchema(laterWords));
  assert.deepEqual(JSON.parse(text), policySchema(laterWords));
  const { definitions } = policySchema(laterWords) as { definitions: Record<string, unknown> };
  const missing = [...text.matchAll(/#\/definitions\/([^"]+)/g)].filter(([, name]) => definitions[name!] === undefined);
  assert.deepEqual(missing, []);
});

test('every section, every key of a rule and every action has a description', () => {
  const { properties, definitions } = schema as {
    properties: Record<string, { description?: string }>;
    definitions: Record<
      string,
      { properties: Record<string, { description?: string }>; anyOf: { description?: string }[] }
    >;
  };
  const described = [
    ...Object.entries(properties),
    ...Object.entries(definitions.rule!.properties),
    ...Object.entries(definitions['nat-rule']!.properties),
  ];
  assert.deepEqual(
    described.filter(([, { description }]) => !description).map(([name]) => name),
    [],
  );
  const actions = definitions.action!.anyOf.filter((form) => !('$ref' in form) && !form.description);
  assert.equal(actions.length, 1, 'only the map of log options is described by its parts');
});

for (const [sentence, text] of [
  ['a misspelt section', 'chainz: {}'],
  ['a misspelt key of a rule', 'chains: { input: { rules: [ { tpc: 22, do: drop } ] } }'],
  ['a misspelt action', 'chains: { input: { rules: [ { tcp: 22, do: dorp } ] } }'],
  ['a rule that does nothing', 'chains: { input: { rules: [ { tcp: 22 } ] } }'],
  ['a table option of the wrong type', 'tables: { t: { size: many } }'],
  ['a duration without a unit', 'tables: { t: { timeout: 5 } }'],
  ['a policy on a chain of the user', 'chains: { own: { policy: drop } }'],
  ['an ingress chain without interfaces', 'chains: { ingress: { rules: [] } }'],
  ['an extension that is not there', 'chains: { input: { rules: [ { do: tarpit } ] } }'],
] as const) {
  test(`the editor's schema refuses ${sentence}`, () => assert.equal(takes(text), false));
}

test("the words of extensions are in the editor's schema", () => {
  const text = 'chains: { input: { rules: [ { psd: {}, do: { chaos: { tarpit: true } } } ] } }';
  assert.equal(takes(text), false);
  assert.equal(takes(text, policySchema(laterWords)), true);
});

test('a match that takes a list or a map is negated as a whole', () => {
  const rules = '{ lscan: { not: [synscan, cnscan] }, do: drop }, { psd: { not: { weight_threshold: 9 } }, do: drop }';
  assert.equal(takes(`chains: { input: { rules: [ ${rules} ] } }`, policySchema(vocabulary)), true);
});
