/** The policies to start from, in rules/: each reads without complaint and has its compiled text beside it. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Errors } from 'typebox/schema';
import { parse } from 'yaml';
import { compilePolicy } from '../src/compiler/compile.js';
import { withEntries } from '../src/compiler/entries.js';
import { vocabulary } from '../src/extensions/registry.js';
import { renderRuleset } from '../src/nft/render.js';
import { policySchema } from '../src/policy/json-schema.js';
import { parsePolicy } from '../src/policy/parse.js';
import { assertGolden } from './golden.js';

/** Compiled tests run from dist/test. */
const folder = join(import.meta.dirname, '../../rules');
const names = readdirSync(folder).filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'));
const schema = policySchema(vocabulary);

test('there are policies to start from', () => {
  assert.ok(names.includes('demo.yaml') && names.length > 5, names.join());
});

test('rules/postern.schema.json is the schema of this version', () => {
  assertGolden(join(folder, 'postern.schema.json'), `${JSON.stringify(schema, undefined, 2)}\n`);
});

for (const name of names) {
  const text = readFileSync(join(folder, name), 'utf8');

  test(`rules/${name} compiles without a warning to rules/${name.replace('.yaml', '.nft')}`, () => {
    const { policy, diagnostics } = parsePolicy(text, { file: `rules/${name}`, vocabulary });
    assert.deepEqual(diagnostics, []);
    const { plan, diagnostics: refused } = compilePolicy(policy!);
    assert.deepEqual(refused, []);
    assertGolden(join(folder, name.replace('.yaml', '.nft')), renderRuleset(withEntries(plan!)));
  });

  test(`rules/${name} is what the editor's schema takes, in YAML without quotes`, () => {
    assert.ok(text.startsWith('# yaml-language-server: $schema=postern.schema.json\n'));
    const [valid, errors] = Errors(schema, parse(text));
    assert.ok(valid, JSON.stringify(errors, null, 1));
    assert.doesNotMatch(text.replace(/#.*$/gm, ''), /["']/);
  });
}
