import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { captured } from './capture.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-policy-'));
after(() => rmSync(folder, { recursive: true }));

function policyFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function line(...argv: string[]) {
  const { io, seen } = captured();
  return { status: await run(argv, io, commands), ...seen };
}

const good = policyFile(
  'good.yaml',
  `tables:
  office: { file: office.txt }
chains:
  input:
    policy: drop
    rules:
      - { tcp: 22, from: <office>, do: accept }
  output:
    rules:
      - { user: root, do: accept }
`,
);
policyFile('office.txt', '192.0.2.0/24 # the office\n');

const bad = policyFile(
  'bad.yaml',
  'chains:\n  input:\n    polcy: drop\n    rules:\n      - { tcp: 22, from: <ofice>, do: acept }\n',
);

suite('check', () => {
  test('says that a policy is good, with its lists and users found', async () => {
    const { status, out, err } = await line('check', '--no-kernel', good);
    assert.match(out, /good\.yaml: good: \d+ rules, 1 table, 0 accounts, not checked by the kernel\n$/);
    assert.deepEqual([status, err], [0, '']);
  });

  test('reports all errors of a file at once, each with its line and a caret, and ends with status 3', async () => {
    const { status, out, err } = await line('check', '--no-kernel', bad);
    assert.deepEqual([status, out], [3, '']);
    assert.match(
      err,
      /bad\.yaml:3:5: error: "polcy" is not known here; did you mean "policy"\?\n {4}3 \| {5}polcy: drop\n {6}\| {5}\^{5}\n/,
    );
    assert.match(err, /bad\.yaml:5:\d+: error: .*ofice/);
    assert.match(err, /bad\.yaml:5:\d+: error: .*acept.*did you mean "accept"\?/);
    assert.match(err, /postern: \S+bad\.yaml: \d errors\n$/);
  });

  test('gives the same as JSON', async () => {
    const { status, err } = await line('check', '--no-kernel', '--json', bad);
    const { error } = JSON.parse(err) as { error: { code: string; details: { line: number; column: number }[] } };
    assert.deepEqual([status, error.code], [3, 'policy']);
    assert.deepEqual([error.details[0]?.line, error.details[0]?.column], [3, 5]);
  });

  test('names a file that is not there', async () => {
    const { status, err } = await line('check', join(folder, 'none.yaml'));
    assert.equal(status, 7);
    assert.match(err, /^postern: can't read the policy: ENOENT: .*none\.yaml'\n$/);
  });

  test('names a list and a user that are not there', async () => {
    const missing = policyFile(
      'missing.yaml',
      'tables:\n  t: { file: nowhere.txt }\nchains:\n  output:\n    rules:\n      - { user: nobody-of-this-name, do: drop }\n',
    );
    const { status, err } = await line('check', '--no-kernel', missing);
    assert.equal(status, 3);
    assert.match(err, /missing\.yaml:2:\d+: error: the list "nowhere\.txt" can't be read/);
    assert.match(err, /missing\.yaml:6:\d+: error: .*nobody-of-this-name/);
  });

  test('names all countries that the database has no files of, each at its rule', async () => {
    for (const family of [4, 6]) writeFileSync(join(folder, `DE.iv${family}`), '');
    const rules = ['geoip: { from: DE }', 'geoip: { from: [DE, XB] }', 'geoip: { to: not XA }'];
    const text = rules.map((rule) => `      - { ${rule}, do: drop }\n`).join('');
    const countries = policyFile(
      'countries.yaml',
      `geoip: { database: ${folder} }\nchains:\n  input:\n    rules:\n${text}`,
    );
    const { status, err } = await line('check', '--no-kernel', countries);
    assert.equal(status, 3);
    assert.doesNotMatch(err, /no country DE/);
    assert.match(
      err,
      /countries\.yaml:6:\d+: error: there is no country XB in \S+; make its files with "postern geoip build"/,
    );
    assert.match(err, /countries\.yaml:7:\d+: error: there is no country XA in \S+; make /);
  });
});

suite('compile', () => {
  test('prints nft text', async () => {
    const { status, out } = await line('compile', good);
    assert.equal(status, 0);
    assert.match(out, /^table inet postern \{\n/);
    assert.match(out, /type filter hook input priority/);
  });

  test('prints the plan as JSON', async () => {
    const plan = JSON.parse((await line('compile', '--json', good)).out) as { tables: { name: string }[] };
    assert.deepEqual(
      plan.tables.map(({ name }) => name),
      ['office'],
    );
  });
});

suite('schema', () => {
  test('is a JSON Schema with the sections of a policy', async () => {
    const schema = JSON.parse((await line('schema')).out) as { properties: Record<string, unknown> };
    for (const section of ['tables', 'accounts', 'chains', 'pftabled', 'api'])
      assert.ok(section in schema.properties, section);
  });
});
