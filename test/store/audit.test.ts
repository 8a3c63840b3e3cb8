import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.js';
import { parsePrefix } from '../../src/net/prefix.js';
import { changeLines } from '../../src/store/audit-lines.js';
import { AuditLog } from '../../src/store/audit-log.js';
import { add, flush, remove, start } from './fixtures.js';

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-audit-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

test('every change is a line that says who, what and what became of it', () => {
  const lines = changeLines(
    [
      add(['192.0.2.1', '192.0.2.2'], start + 60_000, { comment: 'ssh' }),
      add('2001:db8::/32'),
      remove('192.0.2.9'),
      flush('spammer'),
      { kind: 'value', space: 'quota', key: 'guest', value: 5 },
      { kind: 'value', space: 'condition', key: 'maintenance', value: true, origin: { kind: 'rest', id: 'admin' } },
    ],
    start,
  );
  const at = '"at":"2026-11-22T06:00:00.000Z"';
  const who = '"who":{"kind":"cli","id":"root"}';
  assert.deepEqual(lines, [
    `{${at},${who},"op":"add","table":"bruteforce","prefixes":["192.0.2.1","192.0.2.2"],"expires":"2026-11-22T06:01:00.000Z","comment":"ssh","result":"done"}`,
    `{${at},${who},"op":"add","table":"bruteforce","prefixes":["2001:db8::/32"],"result":"done"}`,
    `{${at},${who},"op":"delete","table":"bruteforce","prefixes":["192.0.2.9"],"result":"done"}`,
    `{${at},${who},"op":"flush","table":"spammer","result":"done"}`,
    `{${at},"who":{"kind":"rest","id":"admin"},"op":"set","space":"condition","key":"maintenance","value":true,"result":"done"}`,
  ]);
});

test('a refused change says why', () => {
  const [line] = changeLines([flush()], start, new PosternError('full', 'no room'));
  assert.match(line!, /"op":"flush","table":"bruteforce","result":"full","error":"no room"}$/);
});

test('a large change has a line for each hundred prefixes', () => {
  const draft = add(Array.from({ length: 250 }, (_, n) => `198.51.100.${n}`));
  assert.deepEqual(
    changeLines([draft], start).map((line) => JSON.parse(line).prefixes.length),
    [100, 100, 50],
  );
});

test('nothing that a client sends can end a line, forge one, or move a terminal', () => {
  const hostile = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\n', '\r', '"', '\\', '\u001b', '\u009b', '\u2028', '\u202e', '\u0000', '\u{e0041}'),
      fc.string({ unit: 'binary', maxLength: 1 }),
    ),
    maxLength: 30,
  });
  fc.assert(
    fc.property(hostile, hostile, hostile, (table, comment, id) => {
      const prefix = parsePrefix('192.0.2.1');
      const [line, ...more] = changeLines(
        [{ kind: 'entry', op: 'add', table, prefixes: [prefix], comment, origin: { kind: 'rest', id } }],
        start,
      );
      assert.deepEqual(more, []);
      assert.doesNotMatch(line!, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      const read = JSON.parse(line!);
      assert.deepEqual([read.table, read.comment, read.who.id], [table, comment, id]);
    }),
  );
});

test('files are rotated by size, and the oldest goes', async (context) => {
  const path = join(folder(context), 'log', 'audit.jsonl');
  const log = new AuditLog({ path, now: () => start, maxBytes: 1_000, maxFiles: 3 });
  for (let n = 0; n < 60; n++) await log.change([add(`198.51.100.${n}`)])();
  await log.close();
  assert.deepEqual(readdirSync(join(path, '..')).sort(), ['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2']);
  const kept = [`${path}.2`, `${path}.1`, path].flatMap(linesOf).map(({ prefixes }) => prefixes[0]);
  assert.deepEqual(
    kept,
    Array.from({ length: kept.length }, (_, i) => `198.51.100.${60 - kept.length + i}`),
  );
  for (const file of [path, `${path}.1`, `${path}.2`]) assert.ok(readFileSync(file).length < 1_200);
});

test('a log goes on where it was, and a torn line stays alone', async (context) => {
  const path = join(folder(context), 'audit.jsonl');
  let log = new AuditLog({ path, now: () => start });
  await log.change([flush('first')])();
  await log.close();
  appendFileSync(path, '{"at":"2026-');
  log = new AuditLog({ path, now: () => start });
  await log.change([flush('second')])();
  await log.close();
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines.length, 4);
  assert.equal(JSON.parse(lines[0]!).table, 'first');
  assert.equal(lines[1], '{"at":"2026-');
  assert.equal(JSON.parse(lines[2]!).table, 'second');
});

test('lines that come together are written in their order', async (context) => {
  const path = join(folder(context), 'audit.jsonl');
  const log = new AuditLog({ path, now: () => start });
  await Promise.all(Array.from({ length: 500 }, (_, n) => log.change([flush(`t${n}`)])()));
  assert.deepEqual(
    linesOf(path).map(({ table }) => table),
    Array.from({ length: 500 }, (_, n) => `t${n}`),
  );
  await log.close();
});

test('what cannot be written is counted, told, and noted where the log goes on', async (context) => {
  const path = join(folder(context), 'audit.jsonl');
  const told: string[] = [];
  const clock = { now: start };
  const log = new AuditLog({ path, now: () => clock.now, notify: (notice) => told.push(notice) });
  mkdirSync(path);
  await log.change([flush('a')])();
  await log.change([flush('b')])();
  assert.equal(log.dropped, 2);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /loses lines: EISDIR/);
  rmSync(path, { recursive: true });
  assert.ok(!existsSync(path));
  clock.now += 5_000;
  await log.change([flush('c')])();
  assert.deepEqual(
    linesOf(path).map(({ op, detail, table }) => [op, detail ?? table]),
    [
      ['lines lost', 2],
      ['flush', 'c'],
    ],
  );
  assert.match(told[1]!, /is written again; 2 lines were lost/);
  await log.close();
});
