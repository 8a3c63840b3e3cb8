import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, type Row } from './complaints.js';

const rows: readonly Row[] = [
  ['an empty policy', '', '1:1 the policy is empty; begin with "chains:"'],
  ['a policy of comments', '# nothing\n', '1:1 the policy is empty; begin with "chains:"'],
  ['a list', '- chains\n', '1:1 a policy is a map of sections, not a list; begin with "chains:"'],
  ['a word', 'chains\n', '1:1 a policy is a map of sections, not a single value; begin with "chains:"'],
  ['a tab', 'chains:\n\tinput: {}\n', '2:1 a tab indents this line; YAML takes only spaces'],
  ['a bracket that is never closed', 'nat:\n  - { in: wan, do: drop\n', '3:1 "}" is missing before this'],
  ['two documents', 'chains: {}\n---\nnat: []\n', '2:1 a second YAML document begins here; a policy is one document'],
  [
    'a key that stands twice, at every level',
    'chains:\n  input:\n    policy: drop\n    policy: accept\nnat: []\nchains: {}\n',
    '4:5 "policy" stands here twice; it is already in line 3',
    '6:1 "chains" stands here twice; it is already in line 1',
  ],
  [
    'a word that YAML takes for block text',
    'nat:\n  - tcp: >1024\n    do: accept\n',
    '2:11 ">" begins a block of text in YAML; write a range of ports as 1025-65535',
  ],
  [
    'a word that YAML takes for a tag',
    'tables: { lan: { entries: [10.0.0.0/8, !10.0.0.1] } }\n',
    '1:40 "!10.0.0.1" is a YAML tag, which a policy has not; write "not 10.0.0.1"',
  ],
  ['a tag', 'version: !!int 1\n', '1:10 "!!int" is a YAML tag, which a policy has not; leave it out'],
  [
    'an anchor and an alias',
    'chains: &all {}\nnat: *all\n',
    '1:9 "&all" is a YAML anchor, which a policy has not; use `macros:` and `$name`',
    '2:6 "*all" is a YAML alias, which a policy has not; use `macros:` and `$name`',
  ],
  [
    'a value that begins with a reserved character',
    'chains: @x\n',
    '1:9 no value can begin with "@"; put it in quotes if it is meant so',
  ],
  ['a list as a key', '? [a]\n: b\n', '1:3 a key is missing here; a key is one word before a colon'],
  [
    'brackets around an address',
    'nat:\n  - { in: wan, tcp: 80, do: dnat to [2001:db8::1]:80 }\n',
    '2:37 "[" begins a list in YAML; write an address and its port as "2001:db8::1 port 80"',
    '2:38 YAML: Unexpected scalar at node end',
    '2:49 "}" is missing before this',
    '2:54 YAML: Unexpected flow-map-end token in YAML stream: "}"',
  ],
  [
    'not before a list, in a flow map',
    'nat:\n  - { from: not [192.0.2.1] }\n',
    '2:17 "[" begins a list in YAML; write "not" before each member: [not a, not b]',
    '2:18 YAML: Unexpected scalar at node end',
    '2:27 "}" is missing before this',
    '2:29 YAML: Unexpected flow-map-end token in YAML stream: "}"',
  ],
];

for (const [sentence, text, ...expected] of rows) {
  test(`YAML: ${sentence} is told with its place`, () => assert.deepEqual(complaints(text), expected));
}

test('a text beyond the bound is refused unread', () => {
  const text = `# ${'x'.repeat(4 * 1024 * 1024)}`;
  assert.deepEqual(complaints(text), [
    '1:1 the policy has 4194306 characters; 4194304 are the most; put long lists into files, and name them with `file:` of a table',
  ]);
});

for (const [form, open] of [
  ['lists', '['],
  ['maps', '{a: '],
  ['dashes', '- '],
] as const) {
  test(`${form} that are nested too deeply are refused without reading them all`, () => {
    const [first, ...rest] = complaints(`nat: ${open === '- ' ? '\n' : ''}${open.repeat(200_000)}`);
    assert.match(first ?? '', /^\d+:\d+ the policy is nested deeper than 50 levels here$/);
    assert.deepEqual(rest, []);
  });
}
