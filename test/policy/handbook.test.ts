import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errors } from 'typebox/schema';
import { parse } from 'yaml';
import { formatDiagnostics } from '../../src/policy/diagnostics.js';
import { policySchema } from '../../src/policy/json-schema.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { handbookPolicies } from './handbook-policies.js';
import { laterWords } from './later-words.js';

const owners: Readonly<Record<string, number>> = { root: 0, nogroup: 65534 };
const schema = policySchema(laterWords);

for (const { title, text } of handbookPolicies) {
  test(`reads without a word of complaint: ${title}`, () => {
    const { policy, diagnostics } = parsePolicy(text, {
      file: 'p.yaml',
      vocabulary: laterWords,
      readList: () => '# nobody\n',
      resolveOwner: (_, name) => owners[name],
    });
    assert.equal(
      formatDiagnostics(diagnostics, () => text),
      '',
    );
    assert.ok(policy);
  });

  test(`the editor's schema takes: ${title}`, () => {
    const [valid, errors] = Errors(schema, parse(text));
    assert.ok(valid, JSON.stringify(errors, null, 1));
  });
}
