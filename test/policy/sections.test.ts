import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRange } from '../../src/net/prefix.js';
import type { Policy } from '../../src/policy/ast.js';
import { type ParseOptions, parsePolicy } from '../../src/policy/parse.js';
import { laterWords } from './later-words.js';

function policyOf(text: string, options: Partial<ParseOptions> = {}): Policy {
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml', ...options });
  assert.deepEqual(diagnostics, []);
  assert.ok(policy);
  return policy;
}

test('a policy of one section is whole: the others have their defaults', () => {
  const policy = policyOf('chains: { input: { policy: drop } }');
  assert.equal(policy.blockPolicy, 'drop');
  assert.deepEqual(policy.hygiene, { loopback: true, neighbor: true, invalid: false, badFlags: false });
  assert.equal(policy.pftabled, undefined);
  assert.equal(policy.tables.size + policy.accounts.size + policy.interfaces.size + policy.nat.length, 0);
});

test('hygiene is off, or differs from its default by its keys', () => {
  const off = { loopback: false, neighbor: false, invalid: false, badFlags: false };
  assert.deepEqual(policyOf('hygiene: off').hygiene, off);
  assert.deepEqual(policyOf('hygiene: { bad_flags: true, loopback: off }').hygiene, {
    loopback: false,
    neighbor: true,
    invalid: false,
    badFlags: true,
  });
});

test('a table has a size, and its entries keep their order and their exceptions', () => {
  const { tables } = policyOf('tables: { t: { entries: [192.0.2.0/24, not 192.0.2.3, 2001:db8::1] }, empty: {} }');
  const entries = tables.get('t')?.entries.map(({ range, not }) => `${not ? '!' : ''}${formatRange(range)}`);
  assert.deepEqual(entries, ['192.0.2.0/24', '!192.0.2.3', '2001:db8::1']);
  assert.equal(tables.get('empty')?.size, 65_536);
  assert.equal(tables.get('empty')?.timeoutMs, undefined);
});

test('a single entry need not be a list', () => {
  assert.equal(policyOf('tables: { t: { entries: 192.0.2.1 } }').tables.get('t')?.entries.length, 1);
});

test('the entries of a list file come behind those of the policy, each with its place in the file', () => {
  const readList = (path: string) =>
    path === 'lists/a.txt' ? '# ours\r\n192.0.2.1 # host\r\n! 192.0.2.2\r\nnot 192.0.2.3\r\n' : undefined;
  const { tables } = policyOf('tables: { t: { entries: [192.0.2.0/24], file: lists/a.txt } }', { readList });
  const entries = tables
    .get('t')
    ?.entries.map(({ at, range, not }) => `${at.file}:${at.line}:${at.column} ${not} ${formatRange(range)}`);
  assert.deepEqual(entries, [
    'p.yaml:1:26 false 192.0.2.0/24',
    'lists/a.txt:2:1 false 192.0.2.1',
    'lists/a.txt:3:1 true 192.0.2.2',
    'lists/a.txt:4:1 true 192.0.2.3',
  ]);
});

test('without a reader of lists a table keeps the name of its file', () => {
  const table = policyOf('tables: { t: { file: lists/a.txt } }').tables.get('t');
  assert.equal(table?.file, 'lists/a.txt');
  assert.deepEqual(table.entries, []);
});

test('built-in lists hold no address that a host needs on its own link', () => {
  const entries = policyOf('tables: { m: { builtin: martians } }').tables.get('m')?.entries ?? [];
  const holds = (family: 4 | 6, value: bigint) =>
    entries.some(({ range }) => range.family === family && range.first <= value && value <= range.last);
  assert.ok(holds(4, 0x0a00_0001n));
  assert.ok(holds(6, 0xfcn << 120n));
  assert.ok(!holds(4, 0xffff_ffffn), 'limited broadcast');
  assert.ok(!holds(6, 0n), 'the source of duplicate address detection');
  assert.ok(!holds(6, 0xfe80n << 112n), 'link-local');
  assert.ok(!holds(6, 0xff02n << 112n), 'multicast');
});

test('an account is a network, a list, or a map with a size', () => {
  const { accounts } = policyOf(
    'accounts: { a: 192.0.2.0/24, b: [192.0.2.0/24, 2001:db8::/64], c: { networks: 0.0.0.0/0, size: 5 } }',
  );
  const shown = [...accounts.values()].map(
    ({ name, networks, size }) => `${name} ${networks.map(formatRange)} ${size}`,
  );
  assert.deepEqual(shown, ['a 192.0.2.0/24 65536', 'b 192.0.2.0/24,2001:db8::/64 65536', 'c 0.0.0.0/0 5']);
});

test('interfaces are known by name and by device', () => {
  const policy = policyOf(
    'interfaces: { wan: eth0 }\nchains: { input: { rules: [ { in: [wan, eth0, lo], do: drop } ] } }\n',
  );
  const match = policy.chains.get('input')?.rules[0]?.matches[0];
  assert.ok(match?.word === 'in' && match.interfaces !== 'any');
  assert.deepEqual(
    match.interfaces.any.map(({ device, alias }) => [device, alias]),
    [
      ['eth0', 'wan'],
      ['eth0', undefined],
      ['lo', undefined],
    ],
  );
});

test('chains keep their order, their kind and their policy', () => {
  const text = [
    'chains:',
    '  ingress: { on: [eth0, eth1], rules: [ { tcp: 23, do: drop } ] }',
    '  filter: { policy: block, rules: [ { do: jump own } ] }',
    '  own: { rules: [] }',
  ].join('\n');
  const chains = [...policyOf(text).chains.values()];
  assert.deepEqual(
    chains.map(({ name, kind, policy, on }) => [name, kind, policy, on?.map(({ device }) => device)]),
    [
      ['ingress', 'ingress', undefined, ['eth0', 'eth1']],
      ['filter', 'filter', 'block', undefined],
      ['own', 'user', undefined, undefined],
    ],
  );
});

for (const [listen, family, value, port] of [
  ['0.0.0.0:56789', 4, 0n, 56_789],
  ['56789', 6, 0n, 56_789],
  ['2001:db8::1 port 80', 6, 0x2001_0db8_0000_0000_0000_0000_0000_0001n, 80],
  ['"[2001:db8::1]:80"', 6, 0x2001_0db8_0000_0000_0000_0000_0000_0001n, 80],
] as const) {
  test(`pftabled listens on ${listen}`, () => {
    const { pftabled } = policyOf(`tables: { t: {} }\npftabled: { listen: ${listen}, force: t, timeout: 6h }\n`);
    assert.deepEqual(pftabled?.listen, { address: { family, value }, port });
    assert.equal(pftabled.force, 't');
    assert.equal(pftabled.timeoutMs, 21_600_000);
  });
}

test('the API listens on sockets, and with a token on the network', () => {
  const text = 'api: { listen: [unix:/run/postern/api.sock, 127.0.0.1:8080], token: { file: /etc/postern/token } }\n';
  assert.deepEqual(policyOf(text).api?.listen, [
    { unix: '/run/postern/api.sock' },
    { tcp: { address: { family: 4, value: 0x7f00_0001n }, port: 8080 }, tokenFile: '/etc/postern/token' },
  ]);
});

test('sections of extensions come as entries by name, or as one entry of their own name', () => {
  const text = 'conditions: { night: off, day: on }\nlog: { group: 5, file: a.pcap }\nretention: 30 days\n';
  const { sections } = policyOf(text, { vocabulary: laterWords });
  const shown = [...sections].map(([name, entries]) => [
    name,
    [...entries.values()].map(({ name, spec }) => [name, spec]),
  ]);
  assert.deepEqual(shown, [
    [
      'conditions',
      [
        ['night', false],
        ['day', true],
      ],
    ],
    ['log', [['log', { group: 5, file: 'a.pcap' }]]],
    ['retention', [['retention', { count: 30 }]]],
  ]);
});
