import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockState, openStoreIn } from '../../../src/cli/daemon/state-folder.js';
import { parsePrefix } from '../../../src/net/prefix.js';

function newFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-state-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const silent = () => assert.fail('nothing to tell');

test('a folder has one daemon at a time', (context) => {
  const folder = newFolder(context);
  const release = lockState(folder, silent);
  assert.throws(() => lockState(folder, silent), { code: 'conflict', message: /^a daemon works on / });
  release();
  lockState(folder, silent)();
});

test('a folder that is none is told, and the store works without it', async (context) => {
  const path = join(newFolder(context), 'state');
  writeFileSync(path, 'not a folder');
  const told: string[] = [];
  const notify = (notice: string) => told.push(notice);
  lockState(path, notify)();
  assert.match(told[0]!, /^the state folder .*state can't be used \(.*; nothing is kept there$/);
  const store = await openStoreIn(path, notify);
  const origin = { kind: 'cli', id: 'root' } as const;
  await store.write([{ kind: 'entry', op: 'add', table: 't', prefixes: [parsePrefix('192.0.2.1')], origin }]);
  assert.equal([...store.entries('t')].length, 1);
  assert.equal(store.status().mode, 'memory');
  await store.close();
});
