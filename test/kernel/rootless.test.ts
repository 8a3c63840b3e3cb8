/** Policy tests in a user namespace, with and without /dev/net/tun. Needs no root where the kernel lets users make one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { program } from './daemon-bed.js';

const tests = fileURLToPath(new URL('../../../rules/demo.test.yaml', import.meta.url));

/** In a user namespace of its own; `before` is a command of the shell. */
const inside = (before: string) =>
  execa('unshare', ['-Urnm', 'sh', '-c', `${before} exec "$0" "$@"`, process.execPath, program, 'test', tests], {
    reject: false,
    timeout: 120_000,
  });

test('policy tests run in a user namespace', async () => {
  const { exitCode, stdout, stderr } = await inside('');
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(stdout, /^# 5 passed, 0 failed, 0 skipped; \d+ packets in \d+ ms$/m);
});

test('without /dev/net/tun they run over virtual Ethernet pairs, with the same results', async () => {
  const { exitCode, stdout, stderr } = await inside('mount -t tmpfs none /dev/net &&');
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(stdout, /^# 5 passed, 0 failed, 0 skipped; \d+ packets in \d+ ms$/m);
});
