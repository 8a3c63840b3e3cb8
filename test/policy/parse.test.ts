import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePolicy } from '../../src/policy/parse.js';

test('a policy without errors is given, with the place of every part', () => {
  const text = 'chains:\n  input:\n    policy: drop\n    rules:\n      - { tcp: ssh, do: accept }\n';
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml' });
  assert.deepEqual(diagnostics, []);
  const rule = policy?.chains.get('input')?.rules[0];
  assert.deepEqual(rule, {
    at: { file: 'p.yaml', line: 5, column: 9, length: 1 },
    text: '{ tcp: ssh, do: accept }',
    matches: [
      {
        at: { file: 'p.yaml', line: 5, column: 11, length: 3 },
        word: 'tcp',
        ports: { any: [{ first: 22, last: 22 }], not: [] },
      },
    ],
    actions: [{ at: { file: 'p.yaml', line: 5, column: 25, length: 6 }, action: 'accept' }],
  });
});

test('a policy with an error is not given', () => {
  const { policy, diagnostics } = parsePolicy('chains: { input: { polcy: drop } }', { file: 'p.yaml' });
  assert.equal(policy, undefined);
  assert.deepEqual(diagnostics, [
    {
      severity: 'error',
      at: { file: 'p.yaml', line: 1, column: 20, length: 5 },
      message: '"polcy" is not known here',
      hint: 'did you mean "policy"?',
    },
  ]);
});
