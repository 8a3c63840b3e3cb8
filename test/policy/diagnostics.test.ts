import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Diagnostic,
  DiagnosticLog,
  diagnosticJson,
  formatDiagnostic,
  formatDiagnostics,
} from '../../src/policy/diagnostics.js';
import { parsePolicy } from '../../src/policy/parse.js';

const wrong: Diagnostic = {
  severity: 'error',
  at: { file: 'p.yaml', line: 3, column: 5, length: 4 },
  message: '"polc" is not known here',
  hint: 'did you mean "policy"?',
};

test('a diagnostic shows its line with the place underlined', () => {
  const source = 'chains:\n  input:\n    polc: drop\n';
  assert.equal(
    formatDiagnostics([wrong], () => source),
    [
      'p.yaml:3:5: error: "polc" is not known here; did you mean "policy"?',
      '    3 |     polc: drop',
      '      |     ^^^^',
      '',
    ].join('\n'),
  );
});

test('a diagnostic without its source is one line', () => {
  assert.equal(formatDiagnostic(wrong), 'p.yaml:3:5: error: "polc" is not known here; did you mean "policy"?\n');
});

test('each diagnostic shows a line of its own file', () => {
  const inList: Diagnostic = { severity: 'warning', at: { file: 'l.txt', line: 1, column: 1 }, message: 'odd' };
  const sources = new Map([['l.txt', '192.0.2.1/24']]);
  assert.equal(
    formatDiagnostics([wrong, inList], (file) => sources.get(file)),
    [
      'p.yaml:3:5: error: "polc" is not known here; did you mean "policy"?',
      'l.txt:1:1: warning: odd',
      '    1 | 192.0.2.1/24',
      '      | ^',
      '',
    ].join('\n'),
  );
});

test('of a long line the part around the place is shown', () => {
  const at = { file: 'p.yaml', line: 1, column: 501, length: 3 };
  const [, line, carets] = formatDiagnostic({ ...wrong, at }, `${'x'.repeat(500)}bad${'y'.repeat(500)}`).split('\n');
  assert.equal(line, `    1 | …${'x'.repeat(30)}bad${'y'.repeat(87)}…`);
  assert.equal(carets, `      | ${' '.repeat(31)}^^^`);
});

test('what a terminal would obey is not printed', () => {
  const text = formatDiagnostic({ ...wrong, at: { ...wrong.at, column: 1 } }, '\u001b[31mpolc\u0007\u202e: drop');
  assert.equal(text.split('\n')[1], '    3 |  [31mpolc  : drop');
});

test('a place at the end of a line still has a caret', () => {
  const at = { file: 'p.yaml', line: 1, column: 5, length: 9 };
  assert.equal(formatDiagnostic({ ...wrong, at }, 'abcd').split('\n')[2], '      |     ^');
});

test('programs get the same as flat JSON', () => {
  assert.deepEqual(diagnosticJson(wrong), {
    severity: 'error',
    file: 'p.yaml',
    line: 3,
    column: 5,
    length: 4,
    message: '"polc" is not known here',
    hint: 'did you mean "policy"?',
  });
});

test('all errors of a file are told at once, in the order of the text', () => {
  const text =
    'tables: { 1: {} }\nchains:\n  input: { polcy: drop, rules: [ { tpc: 22, do: acept } ] }\nhygeine: off\n';
  const places = parsePolicy(text, { file: 'p.yaml' }).diagnostics.map(({ at }) => `${at.line}:${at.column}`);
  assert.deepEqual(places, ['1:11', '3:12', '3:36', '3:49', '4:1']);
});

test('the same is said once about one place', () => {
  const log = new DiagnosticLog();
  log.error(wrong.at, 'x');
  log.error(wrong.at, 'x');
  assert.equal(log.list().length, 1);
});

test('of a flood of errors the first are kept, and the others counted', () => {
  const rules = Array.from({ length: 1000 }, () => '      - { do: dorp }\n').join('');
  const { diagnostics } = parsePolicy(`chains:\n  input:\n    rules:\n${rules}`, { file: 'p.yaml' });
  assert.equal(diagnostics.length, 201);
  assert.equal(diagnostics.at(-1)?.message, '800 more problems are not shown');
});
