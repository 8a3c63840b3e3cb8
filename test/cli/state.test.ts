import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { createApi } from '../../src/api/server.js';
import { commands } from '../../src/cli/commands.js';
import { takeIn } from '../../src/cli/daemon/import-state.js';
import { lockState, openStoreIn } from '../../src/cli/daemon/state-folder.js';
import { run } from '../../src/cli/dispatch.js';
import { AuditLog } from '../../src/store/audit-log.js';
import { apiBench } from '../api/fixture.js';
import { add, remove } from '../store/fixtures.js';
import { captured } from './capture.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-state-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

async function line(argv: readonly string[], input: readonly string[] = []) {
  const { io, seen } = captured(input);
  return { status: await run(argv, io, commands), ...seen };
}

/** A state folder in which a daemon has kept something, and works no more. */
async function stateFolder(): Promise<string> {
  const path = join(folder, String(count++));
  const store = await openStoreIn(path, (notice) => assert.fail(notice));
  const soon = Date.now() + 3_600_000;
  await store.write([add('192.0.2.1', soon, { comment: 'ssh' }), add('2001:db8::/32'), add('192.0.2.3')]);
  await store.write([remove('192.0.2.3'), { kind: 'value', space: 'quota', key: 'guest', value: 17 }]);
  await store.close();
  return path;
}

suite('postern state', () => {
  test('show tells what is kept, in numbers', async () => {
    const state = await stateFolder();
    const { status, out } = await line(['state', 'show', '--state', state]);
    assert.equal(status, 0);
    assert.match(out, /^node +\S+$/m);
    assert.match(out, /^quota +1$/m);
    assert.match(out, /^TABLE +ENTRIES +EXPIRED +DELETED +DIGEST\nbruteforce +2 +0 +1 +[0-9a-f]{32}$/m);
    const { out: json } = await line(['state', 'show', '--json', '--state', state]);
    const [{ digest, ...numbers }] = JSON.parse(json).tables;
    assert.deepEqual(numbers, { table: 'bruteforce', entries: 2, expired: 0, deleted: 1 });
    assert.match(digest, /^[0-9a-f]{32}$/);
  });

  test('export and import carry it to another machine, which keeps it', async () => {
    const [from, to] = [await stateFolder(), join(folder, String(count++))];
    const { out, status } = await line(['state', 'export', '--state', from]);
    assert.equal(status, 0);
    assert.equal(out.split('\n').length, 6, 'a header, four records, and the end');
    const imported = await line(['state', 'import', '--state', to], [out.slice(0, 100), out.slice(100)]);
    assert.deepEqual([imported.status, imported.out, imported.err], [0, '4 records, 4 of them news\n', '']);
    const again = await line(['state', 'import', '-', '--state', to], [out]);
    assert.equal(again.out, '4 records, 0 of them news\n');
    const digests = [from, to].map(async (state) =>
      JSON.parse((await line(['state', 'show', '--json', '--state', state])).out).tables.map(
        ({ table, digest }: { table: string; digest: string }) => [table, digest],
      ),
    );
    assert.deepEqual(await digests[0], await digests[1], 'both hold the same');
    const second = (await line(['state', 'export', '--state', to])).out;
    assert.deepEqual(second.split('\n').slice(1), out.split('\n').slice(1));
  });

  test('export writes a file that only its owner can read, and import reads one', async () => {
    const [from, to, file] = [await stateFolder(), join(folder, String(count++)), join(folder, 'export.jsonl')];
    const { err } = await line(['state', 'export', '-o', file, '--state', from]);
    assert.match(err, /^4 records written to /);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal((await line(['state', 'import', file, '--state', to])).out, '4 records, 4 of them news\n');
    const { status, err: missing } = await line(['state', 'import', `${file}.x`, '--state', to]);
    assert.deepEqual([status, /can't be read: ENOENT/.test(missing)], [7, true]);
  });

  test('check reads every record, and tells damage by its status', async () => {
    const state = await stateFolder();
    const [name] = readdirSync(join(state, 'store'));
    const good = await line(['state', 'check', '--state', state]);
    assert.equal(good.status, 0);
    assert.match(good.out, /^journal-00000001: .*, 5 records, good$/m);
    const path = join(state, 'store', name!);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    const bad = await line(['state', 'check', '--state', state]);
    assert.equal(bad.status, 9);
    assert.match(bad.out, /damaged: \d+ bytes from \d+ on are damaged/);
    assert.match(bad.err, /1 file in .* can't be read whole; the next start keeps what can be read/);
    assert.deepEqual(readFileSync(path), bytes, 'nothing is changed');
  });

  test('check says of a file of a newer version what this one would do', async () => {
    const state = await stateFolder();
    const path = join(state, 'store', readdirSync(join(state, 'store'))[0]!);
    const bytes = readFileSync(path);
    bytes.writeUInt16BE(99, 8);
    writeFileSync(path, bytes);
    const { status, out, err } = await line(['state', 'check', '--state', state]);
    assert.equal(status, 9);
    assert.match(out, /of a newer version: its format is 99, and this version knows formats up to \d+$/m);
    assert.match(err, /a newer version wrote 1 file in .*; this one would set all aside .*: install the newer one/);
  });

  test('check reads the applied policy and the audit log, too', async () => {
    const state = await stateFolder();
    const log = new AuditLog({ path: join(state, 'audit.jsonl') });
    await log.change([add('192.0.2.1')])();
    await log.close();
    writeFileSync(join(state, 'audit.jsonl'), '{"at":"2026-11-', { flag: 'a' });
    writeFileSync(join(state, 'engine.json'), '{"format":1,"mani');
    const { status, out, err } = await line(['state', 'check', '--state', state]);
    assert.equal(status, 9);
    assert.match(out, /^audit\.jsonl: \d+ bytes, 2 lines, 1 of them broken off by a crash, good$/m);
    assert.match(out, /^engine\.json: 17 bytes, damaged: .*JSON/m);
    assert.match(err, /1 file in/);
    assert.ok(readdirSync(state).includes('engine.json'), 'nothing is set aside');
  });

  test('a folder in which nothing is kept is named, and not made', async () => {
    const state = join(folder, 'none');
    for (const command of ['show', 'check', 'export']) {
      const { status, err } = await line(['state', command, '--state', state]);
      assert.equal(status, 4);
      assert.match(err, /nothing is kept in .*none; name another one with --state/);
    }
    assert.ok(!readdirSync(folder).includes('none'));
  });

  test('an import beside a daemon that is not asked is refused', async () => {
    const state = await stateFolder();
    const release = lockState(state, (notice) => assert.fail(notice));
    const { status, err } = await line(['state', 'import', '--state', state], ['{}\n']);
    assert.equal(status, 4);
    assert.match(err, /a daemon works on /);
    release();
  });

  test('a line that is no record is named, and the status says so', async () => {
    const [from, to] = [await stateFolder(), join(folder, String(count++))];
    const { out } = await line(['state', 'export', '--state', from]);
    const lines = out.split('\n');
    lines[3] = 'x';
    const { status, err } = await line(['state', 'import', '--state', to], [lines.join('\n')]);
    assert.equal(status, 2);
    assert.match(err, /line 4: "x" is not JSON/);
  });

  test('a running daemon takes an export in: tables and audit log have it at once', async () => {
    const { out } = await line(['state', 'export', '--state', await stateFolder()]);
    const own = join(folder, String(count++));
    const store = await openStoreIn(own, (notice) => assert.fail(notice));
    const audit = new AuditLog({ path: join(own, 'audit.jsonl') });
    const bed = await apiBench({}, {}, { store });
    const api = await createApi({
      ...bed.parts,
      importState: (lines, who) => takeIn({ store, engine: bed.engine, audit }, lines, who),
    });
    const socket = join(folder, 'api.sock');
    await api.listen({ path: socket });
    const { status, out: told } = await line(['state', 'import', '--socket', socket], [out]);
    assert.deepEqual([status, told], [0, '4 records, 4 of them news\n']);
    const { entries } = (await bed.ask('GET', '/v1/tables/bruteforce/entries')).body as {
      entries: { address: string }[];
    };
    assert.deepEqual(
      entries.map(({ address }) => address),
      ['192.0.2.1', '2001:db8::/32'],
    );
    const [event] = readFileSync(join(own, 'audit.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text));
    assert.deepEqual([event.op, event.who.kind, event.detail.records, event.result], ['import', 'cli', 4, 'done']);
    await api.close();
    await bed.close();
    await audit.close();
    await store.close();
  });
});
