import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Check } from 'typebox/schema';
import { parse, stringify } from 'yaml';
import { formatDiagnostics } from '../../src/policy/diagnostics.js';
import { policySchema } from '../../src/policy/json-schema.js';
import { type ParseResult, parsePolicy } from '../../src/policy/parse.js';
import { handbookPolicies } from './handbook-policies.js';
import { laterWords } from './later-words.js';

const samples = handbookPolicies.map(({ text }) => text);
const schema = policySchema(laterWords);

function read(text: string): ParseResult {
  return parsePolicy(text, {
    file: 'p.yaml',
    vocabulary: laterWords,
    readList: (path) => (path.includes('x') ? undefined : path),
    resolveOwner: (_, name) => name.length,
  });
}

/** Whatever the text: an answer, either a policy or errors, and every place is in the text. */
function holdsFor(text: string): void {
  const { policy, diagnostics } = read(text);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  assert.equal(policy === undefined, errors.length > 0);
  const lines = text.split('\n');
  for (const { at, message } of diagnostics) {
    assert.ok(message.length > 0);
    if (at.file !== 'p.yaml') continue;
    assert.ok(at.line >= 1 && at.line <= lines.length, `line ${at.line} of ${lines.length}`);
    assert.ok(at.column >= 1 && at.column <= lines[at.line - 1]!.length + 1, `column ${at.column} in line ${at.line}`);
  }
  formatDiagnostics(diagnostics, () => text);
}

/** Words, signs and endings that mean something to YAML or to the policy. */
const pieces = fc.constantFrom(
  ...samples.flatMap((text) => text.match(/[\w.:/$<>-]+|[[\]{},\n]| +/g) ?? []),
  ...[
    'not ',
    '$',
    '$x',
    '<',
    '>',
    '|',
    '&a',
    '*a',
    '!t',
    '? ',
    '- ',
    '\t',
    '\r\n',
    '#',
    "'",
    '"',
    '---\n',
    '%',
    '@',
    '`',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    '1e999',
    '-1',
    '0x',
    '::',
    '٣',
    '\u0000',
    '\u2028',
    '😀',
    'x'.repeat(300),
  ],
);

test('any text gets an answer', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), holdsFor), { numRuns: 300 });
});

test('any row of words of the language gets an answer', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (row) => holdsFor(row.join(''))),
    { numRuns: 500 },
  );
});

test('any YAML gets an answer', () => {
  const keys = fc.oneof(fc.string({ maxLength: 8 }), pieces);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.oneof(pieces, fc.integer(), fc.boolean(), fc.constant(null), fc.double()),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
    ),
  }));
  const sections = fc.constantFrom(
    'chains',
    'nat',
    'tables',
    'accounts',
    'macros',
    'interfaces',
    'hygiene',
    'api',
    'scrub',
  );
  fc.assert(
    fc.property(fc.dictionary(sections, value), (policy) => holdsFor(stringify(policy))),
    { numRuns: 500 },
  );
});

/** A policy with some of its pieces taken out, doubled, or replaced. */
const mutated = fc
  .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(), fc.nat(8), pieces), { minLength: 1, maxLength: 4 }))
  .map(([text, changes]) =>
    changes.reduce((changed, [at, length, piece]) => {
      const start = at % (changed.length + 1);
      return changed.slice(0, start) + piece + changed.slice(start + length);
    }, text),
  );

test('any policy with something changed gets an answer', () => {
  fc.assert(fc.property(mutated, holdsFor), { numRuns: 1000 });
});

/** A word of a policy replaced by a word of another. */
const exchanged = fc.tuple(fc.constantFrom(...samples), fc.nat(), fc.nat()).map(([text, from, to]) => {
  const words = [...text.matchAll(/[\w.:/$<>-]+/g)];
  const other = samples.join(' ').match(/[\w.:/$<>-]+/g) ?? [];
  const word = words[from % words.length]!;
  return text.slice(0, word.index) + other[to % other.length]! + text.slice(word.index + word[0].length);
});

test("what the reader takes, the editor's schema takes, too", () => {
  let taken = 0;
  fc.assert(
    fc.property(exchanged, (text) => {
      if (read(text).policy === undefined) return;
      taken++;
      assert.ok(Check(schema, parse(text)), 'the schema refuses what the reader takes');
    }),
    { numRuns: 1000 },
  );
  assert.ok(taken > 30, `only ${taken} policies were taken`);
});
