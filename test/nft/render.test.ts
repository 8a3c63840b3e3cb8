import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as b from '../../src/nft/build.js';
import { renderRule, renderRuleset, renderTable } from '../../src/nft/render.js';
import { renderObject, renderSet } from '../../src/nft/set.js';
import { duration } from '../../src/nft/text.js';
import { objects, sets, statements } from './constructs.js';

for (const { text, statements: made } of statements) {
  test(`a rule reads: ${text}`, () => assert.equal(renderRule({ statements: made }).text, text));
}

for (const { set, text } of sets) {
  test(`set ${set.name} is written with its type, flags, bounds and contents`, () => {
    assert.equal(renderSet(set).join('\n'), text);
  });
}

for (const { object, text } of objects) {
  test(`${object.kind} ${object.name} is written with its values`, () => {
    assert.equal(renderObject(object).join('\n'), text);
  });
}

test('a ruleset is one block a table, with objects, sets and chains in the order of the model', () => {
  const text = renderRuleset({
    tables: [
      {
        family: 'inet',
        name: 'postern',
        objects: [
          { kind: 'counter', name: 'c_a' },
          { kind: 'counter', name: 'c_b' },
        ],
        sets: [{ name: 's_a', key: { type: ['ipv4_addr'] }, flags: [] }],
        chains: [
          {
            name: 'in',
            base: { type: 'filter', hook: 'input', priority: -5, policy: 'drop' },
            rules: [{ statements: [b.counter('c_a'), b.jump('more')], comment: 'first of all' }],
          },
          { name: 'more', comment: 'the rest', rules: [{ statements: [b.drop] }] },
        ],
      },
      {
        family: 'netdev',
        name: 'postern',
        objects: [],
        sets: [],
        chains: [
          {
            name: 'in_wan',
            base: { type: 'filter', hook: 'ingress', priority: 0, devices: ['wan', 'lan'] },
            rules: [],
          },
        ],
      },
    ],
  });
  assert.equal(
    text,
    `table inet postern {
  counter c_a { }
  counter c_b { }

  set s_a {
    type ipv4_addr
  }

  chain in {
    type filter hook input priority -5; policy drop;
    counter name "c_a" jump more comment "first of all"
  }

  chain more {
    comment "the rest"
    drop
  }
}

table netdev postern {
  chain in_wan {
    type filter hook ingress devices = { "wan", "lan" } priority 0;
  }
}
`,
  );
});

test('every line of a rule or set knows the policy line that caused it', () => {
  const origin = { file: 'a.yaml', line: 7, column: 3 };
  const lines = renderTable({
    family: 'inet',
    name: 'postern',
    objects: [{ kind: 'counter', name: 'c_a', origin }],
    sets: [{ name: 's_a', key: { type: ['ipv4_addr'] }, flags: [], origin }],
    chains: [{ name: 'in', rules: [{ statements: [b.drop], origin }] }],
  });
  assert.deepEqual(
    lines.filter((line) => line.origin === origin).map((line) => line.text.trim()),
    ['counter c_a { }', 'set s_a {', 'type ipv4_addr', '}', 'drop'],
  );
});

test('long contents are wrapped, in their order', () => {
  const elements = Array.from({ length: 20 }, (_, i) => ({ value: `192.0.2.${i}` }));
  const lines = renderSet({ name: 's', key: { type: ['ipv4_addr'] }, flags: [], elements });
  assert.ok(lines.every((line) => line.length <= 110));
  assert.equal(lines.slice(3, -2).join(' ').replace(/\s+/g, ' ').trim(), elements.map((e) => e.value).join(', '));
});

const hostile = ['x" } drop', 'back\\slash', 'two\nlines', 'nul\0', ''];

for (const text of hostile) {
  test(`a comment, prefix or device can't be ${JSON.stringify(text)}`, () => {
    const invalid = { name: 'PosternError', code: 'invalid' };
    assert.throws(() => renderRule({ statements: [b.drop], comment: text }), invalid);
    assert.throws(() => renderRule(b.rule(b.log({ prefix: text }))), invalid);
    assert.throws(() => renderRule(b.rule(b.match(b.meta('iifname'), text))), invalid);
  });
}

test('an element keeps a comment that nft can carry, and something like any other', () => {
  const cases = [
    ['ssh 6/3 für alle', 'ssh 6/3 für alle'],
    ['x" } drop', "x' } drop"],
    ['back\\slash', 'back/slash'],
    ['two\nlines\0', 'two lines '],
    ['', ' '],
    ['ü'.repeat(70), 'ü'.repeat(63)],
  ] as const;
  for (const [comment, written] of cases) {
    const lines = renderSet({ name: 's', key: { type: ['mark'] }, flags: [], elements: [{ value: 1, comment }] });
    assert.equal(lines[3]?.trim(), `0x1 comment "${written}"`);
  }
});

test('a log prefix may not name an nft variable', () => {
  assert.throws(() => renderRule(b.rule(b.log({ prefix: 'cost $x' }))), { code: 'invalid' });
});

for (const text of ['a b', '1; drop', 'a}', '"x"', '', 'a\nb', '@a b']) {
  test(`${JSON.stringify(text)} is neither a value nor a name`, () => {
    const internal = { name: 'PosternError', code: 'internal' };
    assert.throws(() => renderRule(b.rule(b.match(b.ip('saddr'), text))), internal);
    assert.throws(() => renderRule(b.rule(b.jump(text))), internal);
    assert.throws(() => renderSet({ name: text, key: { type: ['mark'] }, flags: [] }), internal);
    assert.throws(() => renderRule(b.rule(b.match(b.payload('ip', text), 1))), internal);
  });
}

test('numbers that text could not carry exactly are refused', () => {
  for (const value of [1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    assert.throws(() => renderRule(b.rule(b.match(b.tcp('dport'), value))), { code: 'internal' });
    assert.throws(() => renderRule(b.rule(b.limit({ rate: value, per: 'second' }))), { code: 'internal' });
  }
  assert.throws(() => renderRule(b.rule(b.quota({ bytes: -1 }))), { code: 'internal' });
});

test('an empty anonymous set is refused instead of loading as something else', () => {
  assert.throws(() => renderRule(b.rule(b.match(b.tcp('dport'), b.oneOf([])))), { code: 'internal' });
});

test('durations are written without rounding', () => {
  const cases = [
    [0, '0s'],
    [300, '300ms'],
    [1500, '1s500ms'],
    [60_000, '1m'],
    [90_061_001, '1d1h1m1s1ms'],
    [2_592_000_000, '30d'],
  ] as const;
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
  assert.throws(() => duration(0.5), { code: 'internal' });
  assert.throws(() => duration(-1), { code: 'internal' });
});
