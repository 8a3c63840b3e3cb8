import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Match } from '../../src/policy/ast.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { complaints } from './complaints.js';

/** The match of the one rule of a policy with these macros. */
function matchOf(macros: string, match: string): Match | undefined {
  const text = `macros: ${macros}\nchains: { filter: { rules: [ { ${match}, do: accept } ] } }\n`;
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml' });
  assert.deepEqual(diagnostics, []);
  return policy?.chains.get('filter')?.rules[0]?.matches[0];
}

function portsOf(macros: string, ports: string): string[] {
  const match = matchOf(macros, `tcp: ${ports}`);
  assert.ok(match?.word === 'tcp' && match.ports !== 'any');
  const show = (sign: string) => (range: { first: number; last: number }) => `${sign}${range.first}-${range.last}`;
  return [...match.ports.any.map(show('')), ...match.ports.not.map(show('!'))];
}

test('a macro stands for a value', () => assert.deepEqual(portsOf('{ p: ssh }', '$p'), ['22-22']));

test('a macro that is a list is flattened into the list that it stands in', () => {
  assert.deepEqual(portsOf('{ p: [22, 25] }', '[21, $p, 80]'), ['21-21', '22-22', '25-25', '80-80']);
});

test('a macro uses earlier macros, also inside its lists', () => {
  assert.deepEqual(portsOf('{ a: 22, b: [$a, 25], c: [$b, 80], d: $c }', '$d'), ['22-22', '25-25', '80-80']);
});

test('not in front of a list negates each of its members', () => {
  assert.deepEqual(portsOf('{ p: [22, 25] }', 'not $p'), ['!22-22', '!25-25']);
});

test('a macro is replaced inside a word, before the word is read', () => {
  assert.deepEqual(portsOf('{ low: 1024, high: 2047 }', '$low-$high'), ['1024-2047']);
});

test('a macro is replaced inside a sentence', () => {
  const text = 'macros: { web: 192.0.2.3, port: 8080 }\nnat: [ { in: wan, tcp: 80, do: dnat to $web port $port } ]\n';
  const { policy } = parsePolicy(text, { file: 'p.yaml' });
  const action = policy?.nat[0]?.actions[0];
  assert.ok(action?.action === 'dnat');
  assert.deepEqual(action.port, { first: 8080, last: 8080 });
  assert.equal(action.to?.first, 0xc000_0203n);
});

test('a rule is repeated as it stands, with the names of its macros', () => {
  const text = 'macros: { p: [22, 25] }\nchains: { input: { rules: [ {tcp:  $p,   do: accept} ] } }\n';
  const { policy } = parsePolicy(text, { file: 'p.yaml' });
  assert.equal(policy?.chains.get('input')?.rules[0]?.text, '{ tcp: $p, do: accept }');
});

test('macros work in every section', () => {
  const text = [
    'macros: { dev: eth0, net: 192.0.2.0/24, day: 1d, dir: /etc/postern }',
    'interfaces: { wan: $dev }',
    'tables: { t: { entries: [$net], timeout: $day } }',
    'accounts: { sales: $net }',
    'pftabled: { listen: 56789, key: { file: $dir/key }, tables: [t] }',
  ].join('\n');
  const { policy } = parsePolicy(text, { file: 'p.yaml' });
  assert.equal(policy?.interfaces.get('wan')?.device, 'eth0');
  assert.equal(policy?.tables.get('t')?.timeoutMs, 86_400_000);
  assert.equal(policy?.accounts.get('sales')?.networks.length, 1);
  assert.equal(policy?.pftabled?.keyFile, '/etc/postern/key');
});

const rule = (match: string) => `chains: { input: { rules: [ { ${match}, do: accept } ] } }\n`;

for (const [sentence, text, ...expected] of [
  [
    'an unknown macro is told where it is used, with the nearest name',
    `macros: { ports: 22 }\n${rule('tcp: $prots')}`,
    '2:36 there is no macro "$prots"; did you mean "$ports"?',
  ],
  [
    'a macro that is defined further down is unknown',
    'macros: { a: $b, b: 22 }\n',
    '1:14 there is no macro "$b"; define it above, in `macros:`',
  ],
  [
    'a wrong macro is told once, not at its uses',
    `macros: { a: { b: c } }\n${rule('tcp: $a')}`,
    '1:14 a macro is a value or a list of values, not a map',
  ],
  [
    'a wrong value is told where it is used, with the name of the macro',
    `macros: { ports: [ssh, htpp] }\n${rule('tcp: $ports')}`,
    '2:36 "htpp" is no port or service that is known (from $ports); did you mean "http"?',
  ],
  [
    'a list inside a word is refused',
    `macros: { ports: [22, 25] }\n${rule('tcp: $ports-80')}`,
    `2:36 "$ports" is a list, which can't stand inside "$ports-80"; use it alone`,
  ],
  [
    'what is negated twice is refused',
    `macros: { others: [not 192.0.2.1] }\n${rule('from: not $others')}`,
    '2:37 "not $others" negates what "$others" already negates',
  ],
  ['a dollar without a name is refused', rule('tcp: $'), '1:36 "$" in "$" is followed by no name of a macro'],
  [
    'a name that no use could have is refused',
    'macros: { my-ports: 22 }\n',
    `1:11 "my-ports" can't name a macro; take letters, digits and "_", and no digit first`,
  ],
  ['a macro needs a value', 'macros: { a: }\n', '1:11 a macro needs a value'],
  ['macros are a map', 'macros: [a]\n', '1:9 "macros" is a map of names and values, not a list'],
  [
    'a list in a macro holds values',
    'macros: { a: [{ b: c }] }\n',
    '1:15 a list in `macros:` holds single values, not a map',
  ],
] as const) {
  test(sentence, () => assert.deepEqual(complaints(text), expected));
}

test('macros that multiply are stopped at a bound', () => {
  const level = (index: number) =>
    `  a${index}: [${Array(10)
      .fill(`$a${index - 1}`)
      .join(', ')}]\n`;
  const levels = Array.from({ length: 30 }, (_, index) => level(index + 1)).join('');
  const told = complaints(`macros:\n  a0: [x, x, x, x, x, x, x, x, x, x]\n${levels}nat: []\n`);
  assert.deepEqual(
    told.filter((line) => !line.includes('macros make more text than a policy may have')),
    [],
  );
  assert.ok(told.length > 0);
});

test('a macro that doubles its own text is stopped at a bound', () => {
  const level = (index: number) => `  a${index}: $a${index - 1}$a${index - 1}\n`;
  const levels = Array.from({ length: 40 }, (_, index) => level(index + 1)).join('');
  assert.deepEqual(complaints(`macros:\n  a0: xxxxxxxx\n${levels}nat: []\n`), ['16:8 macros make this value too long']);
});
