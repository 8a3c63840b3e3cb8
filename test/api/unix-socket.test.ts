import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { claimSocket } from '../../src/api/unix-socket.js';
import { PosternError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-socket-'));
after(() => rmSync(folder, { recursive: true }));

function listening(server: Server): (path: string) => Promise<void> {
  return (path) => new Promise((resolve) => server.listen(path, resolve));
}

function isError(code: string, message: RegExp) {
  return (error: unknown) => error instanceof PosternError && error.code === code && message.test(error.message);
}

suite('a UNIX socket', () => {
  test('is open to owner and group from the moment it has its name, and gone after release', async () => {
    const path = join(folder, 'new', 'api.sock');
    const claim = await claimSocket(path);
    const server = createServer();
    await claim.listen(async (temporary) => {
      await listening(server)(temporary);
      assert.ok(!existsSync(path));
    });
    assert.equal(statSync(path).mode & 0o777, 0o660);
    server.close();
    claim.release();
    assert.ok(!existsSync(path));
  });

  test('is refused to a second claim while the first one holds, listening or not', async () => {
    const path = join(folder, 'held.sock');
    const claim = await claimSocket(path);
    await assert.rejects(claimSocket(path), isError('conflict', /another daemon listens at .*held\.sock/));
    claim.release();
    (await claimSocket(path)).release();
  });

  test('is refused while a process without our lock answers there', async () => {
    const path = join(folder, 'foreign.sock');
    const server = createServer();
    await listening(server)(path);
    await assert.rejects(claimSocket(path), isError('conflict', /another daemon/));
    await new Promise((closed) => server.close(closed));
  });

  test('that a dead process left is replaced', async () => {
    const path = join(folder, 'stale.sock');
    const { spawnSync } = await import('node:child_process');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.equal(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL');
    assert.ok(statSync(path).isSocket());
    const claim = await claimSocket(path);
    const server = createServer();
    await claim.listen(listening(server));
    server.close();
    claim.release();
  });

  test('never replaces a file that is no socket', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'keep me');
    await assert.rejects(claimSocket(path), isError('conflict', /is not a socket/));
    assert.equal(statSync(path).size, 7);
  });

  test('with a path that the kernel would cut is refused', async () => {
    await assert.rejects(claimSocket(join(folder, 'x'.repeat(108))), isError('invalid', /longer than 106 bytes/));
  });
});
