import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { replaceFile } from '../../src/store/replace-file.js';

const folder = await mkdtemp(join(tmpdir(), 'postern-replace-'));
after(() => rm(folder, { recursive: true }));

test('a file is replaced whole, for its owner alone, and no draft stays', async () => {
  const path = join(folder, 'engine.json');
  writeFileSync(path, 'the old text, which is longer', { mode: 0o644 });
  writeFileSync(`${path}.new`, 'a draft that a crash has left, longer than what comes now');
  await replaceFile(path, 'the new text');
  assert.equal(readFileSync(path, 'utf8'), 'the new text');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['engine.json']);
});

test('what can not be written is told, and the old file stays', async () => {
  const path = join(folder, 'clients.json');
  writeFileSync(path, 'the old text');
  mkdirSync(`${path}.new`);
  await assert.rejects(replaceFile(path, 'the new text'), { code: 'EISDIR' });
  assert.equal(readFileSync(path, 'utf8'), 'the old text');
});
