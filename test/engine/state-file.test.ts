import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stateFile, stateFileName } from '../../src/engine/state-file.js';

const NOBODY = 65_534;

test('who may not read the state is told to be root', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-state-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, stateFileName), '{}');
  chmodSync(join(folder, stateFileName), 0);
  const user = process.geteuid!();
  // Root may read everything.
  if (user === 0) process.seteuid!(NOBODY);
  try {
    await assert.rejects(stateFile(folder).read(), {
      code: 'forbidden',
      message: /^may not use .*engine\.json: run this as root, /,
    });
  } finally {
    if (user === 0) process.seteuid!(user);
  }
});
