/** The plan beside the rules: names, roles, ids, marks, entries, notes. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withEntries } from '../../src/compiler/entries.js';
import type { Plan } from '../../src/compiler/plan.js';
import type { Statement } from '../../src/nft/model.js';
import { renderRuleset } from '../../src/nft/render.js';
import { planOf, rulesOf } from './compiled.js';

const folder = join(import.meta.dirname, '../../../rules');
const samples = readdirSync(folder).filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'));

test('a table has two tiers for each family, and its entries stand beside the ruleset', () => {
  const plan = planOf(
    'tables: { bad: { timeout: 1d, size: 500, entries: [192.0.2.0/24, not 192.0.2.7] } }\nchains:\n  input: {}\n',
  );
  assert.deepEqual(
    plan.manifest.sets.map(({ name, interval, timeout, size, role }) => [name, interval, timeout, size, role.kind]),
    [
      ['t_bad_h4', false, true, 500, 'table'],
      ['t_bad_p4', true, true, 500, 'table'],
      ['t_bad_h6', false, true, 500, 'table'],
      ['t_bad_p6', true, true, 500, 'table'],
    ],
  );
  assert.ok(plan.ruleset.tables[0]!.sets.every(({ elements }) => elements === undefined));
  assert.deepEqual(
    plan.tables.map(({ name, timeoutMs, entries }) => [name, timeoutMs, entries.map(({ not }) => not)]),
    [['bad', 86_400_000, [false, true]]],
  );
});

test('the names of table sets say their shape: change them together', () => {
  const plan = planOf('tables: { plain: {}, counted: { counters: true } }\nchains:\n  input: {}\n');
  assert.deepEqual(
    plan.manifest.sets
      .filter(({ role }) => role.kind === 'table' && role.family === 4)
      .map(({ name, shape }) => [name, shape]),
    [
      ['t_plain_h4', '76a2d2f7'],
      ['t_plain_p4', '6d180f9e'],
      ['t_counted_h4c', 'ee6d289f'],
      ['t_counted_p4c', 'bffbfbd3'],
    ],
  );
});

test('alone, the ruleset holds what the tables hold: exceptions cut out, hosts as hosts', () => {
  const plan = planOf(`
tables:
  mixed: { entries: [192.0.2.0/24, not 192.0.2.8/29, 192.0.2.9, 198.51.100.1, 198.51.100.2, 203.0.113.5-203.0.113.9, 2001:db8::/32, not 2001:db8::1] }
chains: { input: {} }
`);
  const contents = withEntries(plan).tables[0]!.sets.map(({ name, elements }) => [
    name,
    (elements ?? []).map(({ value }) => value),
  ]);
  assert.deepEqual(contents, [
    ['t_mixed_h4', ['192.0.2.9', '198.51.100.1', '198.51.100.2']],
    [
      't_mixed_p4',
      [
        { prefix: { addr: '192.0.2.0', len: 29 } },
        { range: ['192.0.2.16', '192.0.2.255'] },
        { range: ['203.0.113.5', '203.0.113.9'] },
      ],
    ],
    ['t_mixed_h6', ['2001:db8::']],
    ['t_mixed_p6', [{ range: ['2001:db8::2', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'] }]],
  ]);
});

test('tables whose names nft would take for one have sets of their own', () => {
  const plan = planOf('tables: { a.b: {}, a_b: {} }\nchains:\n  input: { rules: [{ from: <a_b>, do: drop }] }\n');
  const names = plan.manifest.sets.map(({ name }) => name);
  assert.equal(new Set(names).size, 8);
  assert.ok(
    plan.manifest.sets.every(
      ({ name, role }) =>
        role.kind === 'table' &&
        (role.table === 'a.b') === (name === `t_a_b_${name.slice(6)}` && /^t_a_b_[hp][46]$/.test(name)),
    ),
  );
});

test('a rule keeps its id, and so its counter, when it moves or others change', () => {
  const ids = (text: string) =>
    planOf(text).manifest.objects.flatMap(({ role }) => (role.kind === 'rule' ? [role.rule] : []));
  const rule = '      - { tcp: 22, do: accept }\n';
  const head = 'chains:\n  input:\n    rules:\n';
  const [id] = ids(`${head}${rule}`);
  assert.match(id!, /^input-[0-9a-f]{6}$/);
  assert.deepEqual(ids(`${head}      - { udp: 53, do: drop }\n${rule}`)[1], id);
  assert.deepEqual(ids(`${head}${rule}${rule}`), [id, `${id}-2`]);
  assert.deepEqual(ids(`${head}      - { name: ssh, tcp: 22, do: accept }\n`), ['ssh']);
});

test('every rule of the policy is counted, once for all of what it becomes', () => {
  const text = readFileSync(join(folder, 'gateway.yaml'), 'utf8');
  const plan = planOf(text);
  const rules = plan.manifest.objects.filter(({ role }) => role.kind === 'rule');
  assert.equal(rules.length, [...text.matchAll(/^ {2,6}- \{/gm)].length);
  const used = countersIn(plan);
  for (const { name } of rules) assert.ok(used.has(name), name);
});

function* statements(plan: Plan): Iterable<Statement> {
  for (const { chains } of plan.ruleset.tables)
    for (const { rules } of chains) for (const rule of rules) yield* rule.statements;
}

const countersIn = (plan: Plan): Set<string> =>
  new Set(
    [...statements(plan)].flatMap((statement) =>
      'counter' in statement && statement.counter !== null ? [statement.counter] : [],
    ),
  );

for (const name of samples) {
  test(`every set that the rules of ${name} add to has a bound, and a counter for what finds it full`, () => {
    const plan = planOf(readFileSync(join(folder, name), 'utf8'));
    const sets = new Map(plan.ruleset.tables[0]!.sets.map((set) => [`@${set.name}`, set]));
    const counters = countersIn(plan);
    for (const statement of statements(plan)) {
      if (!('set' in statement) || statement.set.op === 'delete') continue;
      const set = sets.get(statement.set.set)!;
      assert.ok(set.size !== undefined && set.flags.includes('dynamic'), set.name);
      const role = plan.manifest.sets.find((known) => known.name === set.name)!.role;
      const overflow = plan.manifest.objects.find(
        (object) => object.role.kind === 'overflow' && JSON.stringify(object.role.of) === JSON.stringify(role),
      );
      // One bucket for all packets, or for each family, can't overflow.
      const keys = JSON.stringify(set.key) === JSON.stringify({ type: ['nf_proto'] }) ? 2 : 1;
      assert.ok(set.size === keys || (overflow && counters.has(overflow.name)), set.name);
    }
  });
}

test('a mark bit stays with its owner at the next compilation, and keeps off the bits of the policy', () => {
  const nat = 'nat:\n  - { in: wan, tcp: 80, do: [redirect to 8080, accept] }\n';
  const first = planOf(`${nat}chains: { input: { policy: drop } }\n`);
  assert.deepEqual(first.manifest.marks, [
    { of: 'connection', owner: 'nat-pass', shift: 31, bits: 1, mask: 0x80000000 },
  ]);
  const own = `chains:\n  input: { policy: drop, rules: [{ do: mark connection 0x80000000/0xc0000000 }] }\n`;
  const moved = planOf(`${nat}${own}`, { previous: first.manifest });
  assert.equal(moved.manifest.marks[0]?.shift, 29);
  const back = planOf(`${nat}chains: { input: { policy: drop } }\n`, { previous: moved.manifest });
  assert.equal(back.manifest.marks[0]?.shift, 29);
});

test('a policy that leaves no bit of a mark is refused where one is needed', () => {
  const text =
    'nat:\n  - { in: wan, tcp: 80, do: [redirect to 8080, accept] }\nchains:\n  input: { rules: [{ do: mark connection 7 }] }\n';
  assert.throws(
    () => planOf(text),
    /2:48 1 bits of the connection mark are needed here, and the policy leaves none free/,
  );
});

test('the digest follows the rules, not the entries of tables', () => {
  const digest = (text: string) => planOf(text).manifest.digest;
  const policy = (entry: string, port: number) =>
    `tables: { a: { entries: [${entry}] } }\nchains:\n  input: { rules: [{ tcp: ${port}, do: drop }] }\n`;
  assert.match(digest(policy('192.0.2.1', 1)), /^[0-9a-f]{64}$/);
  assert.equal(digest(policy('192.0.2.1', 1)), digest(policy('192.0.2.2', 1)));
  assert.notEqual(digest(policy('192.0.2.1', 1)), digest(policy('192.0.2.1', 2)));
});

test('the same policy always compiles to the same text', () => {
  for (const name of samples) {
    const text = readFileSync(join(folder, name), 'utf8');
    assert.equal(renderRuleset(planOf(text).ruleset), renderRuleset(planOf(text).ruleset));
  }
});

test('every rule says which line of the policy it comes from', () => {
  for (const name of samples) {
    const plan = planOf(readFileSync(join(folder, name), 'utf8'));
    for (const { chains } of plan.ruleset.tables) {
      for (const { rules } of chains) for (const rule of rules) assert.ok((rule.origin?.line ?? 0) > 0);
    }
  }
});

test('the compiler says which recipe it took', () => {
  const plan = planOf(readFileSync(join(folder, 'gateway.yaml'), 'utf8'));
  const said = plan.notes.map(({ at, message }) => `${at.line} ${message}`).join('\n');
  assert.match(said, /wan:address is asked of the kernel/);
  assert.match(said, /its connections get the mark 0x80000000/);
  assert.match(said, /of TCP it takes the packets that open a connection/);
});

test('a balancing dnat is told to be fixed at compile time', () => {
  const plan = planOf(
    'tables: { web: { entries: [192.0.2.7, 192.0.2.8] } }\nnat:\n  - { in: wan, tcp: 80, do: dnat to <web> source-hash }\n',
  );
  assert.deepEqual(rulesOf(plan, 'dstnat'), [
    'meta nfproto ipv4 iifname "wan" tcp dport 80 dnat ip to jhash ip saddr mod 2 seed 0x706f7374 map { 0 : 192.0.2.7, 1 : 192.0.2.8 }',
  ]);
  assert.match(plan.notes.map(({ message }) => message).join(), /<web> is used as it stands in the policy/);
});
