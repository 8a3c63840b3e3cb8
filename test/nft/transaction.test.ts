import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as b from '../../src/nft/build.js';
import type { Chain, NamedObject, NftSet, Table } from '../../src/nft/model.js';
import { objectSpec } from '../../src/nft/object-spec.js';
import type { Presence } from '../../src/nft/presence.js';
import { describeBase, tableName, textOf } from '../../src/nft/render.js';
import { type Loaded, loadScript, type Target, uninstallScript } from '../../src/nft/transaction.js';

const table = (parts: Partial<Table> = {}): Table => ({
  family: 'inet',
  name: 'postern',
  objects: [],
  sets: [],
  chains: [],
  ...parts,
});

const target = (digest: string, ...tables: readonly Table[]): Target => ({
  ruleset: { tables },
  manifest: {
    digest,
    tables,
    chains: tables.flatMap(({ family, chains }) =>
      chains.map(({ name, base }) => ({ table: family, name, ...(base && { base: describeBase(base) }) })),
    ),
    sets: tables.flatMap(({ family, sets }) =>
      sets.map(({ name, elements }) => ({
        table: family,
        name,
        ...(elements && { contents: JSON.stringify(elements) }),
      })),
    ),
  },
});

/** What the kernel holds after such a load. */
const presentAfter = ({ ruleset: { tables } }: Target): Presence => ({
  tables: new Set(tables.map(tableName)),
  chains: new Map(
    tables.flatMap((table) =>
      table.chains.map(({ name, base, rules }) => [
        `${tableName(table)} ${name}`,
        base === undefined
          ? { base: '', rules: rules.length }
          : { base: describeBase({ ...base, devices: [] }), policy: base.policy ?? 'accept', rules: rules.length },
      ]),
    ),
  ),
  sets: new Map(
    tables.flatMap((table) =>
      table.sets.map(({ name, data }) => [`${tableName(table)} ${name}`, data ? 'map' : 'set']),
    ),
  ),
  objects: new Map(
    tables.flatMap((table) =>
      table.objects.map((object) => [`${tableName(table)} ${object.kind} ${object.name}`, objectSpec(object)]),
    ),
  ),
});

const nothing: Presence = { tables: new Set(), chains: new Map(), sets: new Map(), objects: new Map() };
const nothingLoaded = undefined;

function script(next: Target, previous: Loaded | undefined, presence: Presence, contents = new Map()): string {
  return textOf(loadScript({ target: next, previous, presence, contents }));
}

/** The script of a reload from one ruleset to another, without the definitions at its end. */
function steps(from: Target, to: Target): string[] {
  const lines = loadScript({ target: to, previous: from.manifest, presence: presentAfter(from) });
  return lines.map(({ text }) => text).filter((text) => /^(add|flush|delete)/.test(text));
}

const input = (priority: number, ...devices: readonly string[]): Chain => ({
  name: 'in',
  base: {
    type: 'filter',
    hook: devices.length > 0 ? 'ingress' : 'input',
    priority,
    ...(devices.length > 0 && { devices }),
  },
  rules: [],
});
const hosts = (name: string, parts: Partial<NftSet> = {}): NftSet => ({
  name,
  key: { type: ['ipv4_addr'] },
  flags: ['timeout'],
  size: 16,
  ...parts,
});

test('a first load only adds', () => {
  const next = target('1', table({ sets: [hosts('h')], chains: [input(0)] }));
  assert.equal(
    script(next, nothingLoaded, nothing),
    `add table inet postern
table inet postern {
  set h {
    type ipv4_addr
    flags timeout
    size 16
  }

  chain in {
    type filter hook input priority 0;
  }
}
`,
  );
});

test('loading the same again is nothing', () => {
  const same = target(
    '1',
    table({ sets: [hosts('h')], chains: [input(0)], objects: [{ kind: 'counter', name: 'c' }] }),
  );
  assert.equal(script(same, same.manifest, presentAfter(same)), '');
});

const chainIs = (base: string, policy: 'accept' | 'drop', rules: number): Presence['chains'] =>
  new Map([['inet postern in', { base, policy, rules }]]);

for (const [what, broken] of [
  ['a set', { sets: new Map() }],
  ['a chain', { chains: new Map() }],
  ['a counter', { objects: new Map() }],
  ['a rule', { chains: chainIs('filter input 0', 'accept', 7) }],
  ['the hook', { chains: chainIs('filter input 5', 'accept', 0) }],
  ['the policy', { chains: chainIs('filter input 0', 'drop', 0) }],
] as const) {
  test(`loading the same again repairs ${what} that somebody else changed`, () => {
    const same = target(
      '1',
      table({ sets: [hosts('h')], chains: [input(0)], objects: [{ kind: 'counter', name: 'c' }] }),
    );
    assert.match(script(same, same.manifest, { ...presentAfter(same), ...broken }), /^table inet postern \{$/m);
  });
}

test('a reload flushes rules, not sets', () => {
  const before = target('1', table({ sets: [hosts('h')], chains: [input(0)] }));
  const after = target('2', table({ sets: [hosts('h', { size: 32 })], chains: [input(0)] }));
  assert.deepEqual(steps(before, after), ['add table inet postern', 'flush table inet postern']);
});

test('what vanished is deleted exactly, maps before the chains and objects that they name', () => {
  const side: Chain = { name: 'side', rules: [] };
  const quota: NamedObject = { kind: 'quota', name: 'q', bytes: 1 };
  const jumps: NftSet = { ...hosts('m'), data: { type: ['verdict'] } };
  const helper: NamedObject = { kind: 'ct helper', name: 'f', type: 'ftp', protocol: 'tcp' };
  const before = target('1', table({ sets: [hosts('h'), jumps], chains: [input(0), side], objects: [quota, helper] }));
  assert.deepEqual(steps(before, target('2', table({ chains: [input(0)] }))), [
    'add table inet postern',
    'flush table inet postern',
    'delete set inet postern h',
    'delete map inet postern m',
    'delete chain inet postern side',
    'delete quota inet postern q',
    'delete ct helper inet postern f',
  ]);
});

test('leftovers in our table go, also when no manifest knows them; tables of others stay', () => {
  const next = target('1', table());
  const presence: Presence = {
    tables: new Set(['inet postern', 'inet postern2']),
    chains: new Map([
      ['inet postern old', { base: '', rules: 1 }],
      ['inet postern2 theirs', { base: '', rules: 1 }],
    ]),
    sets: new Map([['inet postern2 theirs', 'set']]),
    objects: new Map(),
  };
  const text = script(next, nothingLoaded, presence);
  assert.match(text, /^delete chain inet postern old$/m);
  assert.doesNotMatch(text, /postern2/);
});

test('a base chain with another hook, priority or device is made anew, one with another policy is not', () => {
  const gone = 'delete chain inet postern in';
  const is = (...chains: readonly Chain[]): Target => target(JSON.stringify(chains), table({ chains }));
  assert.ok(steps(is(input(0)), is(input(5))).includes(gone));
  assert.ok(
    steps(is(input(0)), is({ ...input(0), base: { type: 'filter', hook: 'forward', priority: 0 } })).includes(gone),
  );
  assert.ok(steps(is(input(0)), is({ name: 'in', rules: [] })).includes(gone));
  assert.ok(steps(is({ name: 'in', rules: [] }), is(input(0))).includes(gone));
  assert.ok(steps(is(input(0, 'a')), is(input(0, 'b'))).includes(gone));
  assert.ok(!steps(is(input(0, 'a', 'b')), is({ ...input(0, 'b', 'a'), comment: 'x' })).includes(gone));
  const policy: Chain = { name: 'in', base: { ...input(0).base!, policy: 'drop' }, rules: [] };
  assert.ok(!steps(is(input(0)), is(policy)).includes(gone));
});

test('a limit, helper or timeout with other values is made anew; counters and quotas are kept', () => {
  const is = (...objects: readonly NamedObject[]): Target => target(JSON.stringify(objects), table({ objects }));
  const limit = (rate: number): NamedObject => ({ kind: 'limit', name: 'l', rate, per: 'second' });
  const deletions = (from: Target, to: Target): string[] => steps(from, to).filter((text) => text.startsWith('delete'));
  assert.deepEqual(deletions(is(limit(1)), is(limit(2))), ['delete limit inet postern l']);
  assert.deepEqual(deletions(is(limit(1)), is({ ...limit(1), comment: 'x' })), []);
  assert.deepEqual(
    deletions(is({ kind: 'quota', name: 'q', bytes: 1 }), is({ kind: 'quota', name: 'q', bytes: 2, inv: true })),
    [],
  );
});

test('contents that the policy owns are flushed and written, unless they are known to be the same', () => {
  const is = (digest: string, ...values: readonly string[]): Target =>
    target(digest, table({ sets: [hosts('h', { elements: values.map((value) => ({ value })) })] }));
  const [one, same, other] = [is('1', '192.0.2.1'), is('2', '192.0.2.1'), is('3', '192.0.2.2')];
  assert.ok(!steps(one, same).includes('flush set inet postern h'));
  assert.doesNotMatch(script(same, one.manifest, presentAfter(one)), /192\.0\.2/);
  assert.ok(steps(one, other).includes('flush set inet postern h'));
  assert.match(script(other, one.manifest, presentAfter(one)), /192\.0\.2\.2/);
  assert.match(script(same, nothingLoaded, presentAfter(one)), /flush set inet postern h\n[\s\S]*192\.0\.2\.1/);
  assert.ok(steps(one, is('4')).includes('flush set inet postern h'));
});

test('contents that others own are not touched', () => {
  const is = (digest: string): Target => target(digest, table({ sets: [hosts('h')] }));
  assert.deepEqual(steps(is('1'), is('2')), ['add table inet postern', 'flush table inet postern']);
});

test('a new set gets the contents that are given for it, one that was there does not', () => {
  const next = target('2', table({ sets: [hosts('new')] }));
  const contents = new Map([['inet postern new', [{ value: '192.0.2.7', timeoutMs: 60_000, expiresMs: 5_500 }]]]);
  assert.match(script(next, nothingLoaded, nothing, contents), /192\.0\.2\.7 timeout 1m expires 5s500ms/);
  assert.doesNotMatch(script(next, nothingLoaded, presentAfter(next), contents), /192\.0\.2\.7/);
});

test('a table that left the ruleset is deleted when it is there', () => {
  const before = target('1', table(), table({ family: 'netdev' }));
  const after = target('2', table());
  assert.ok(steps(before, after).includes('delete table netdev postern'));
  assert.doesNotMatch(script(after, before.manifest, presentAfter(after)), /delete table/);
});

test('uninstalling deletes exactly our tables', () => {
  const loaded = target('1', table(), table({ family: 'netdev' }));
  assert.equal(
    textOf(uninstallScript(loaded.manifest, { ...nothing, tables: new Set(['inet postern', 'inet other']) })),
    'delete table inet postern\n',
  );
});

test('a flushed set and a rule point to the policy line that they come from', () => {
  const origin = { file: 'a.yaml', line: 3, column: 1 };
  const set = hosts('h', { elements: [{ value: '192.0.2.1' }], origin });
  const next = target(
    '2',
    table({ sets: [set], chains: [{ ...input(0), rules: [{ statements: [b.drop], origin }] }] }),
  );
  const lines = loadScript({ target: next, previous: undefined, presence: presentAfter(next) });
  for (const text of ['flush set inet postern h', 'drop', '192.0.2.1']) {
    assert.deepEqual(lines.find((line) => line.text.trim() === text)?.origin, origin);
  }
});
