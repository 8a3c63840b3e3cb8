/** The daemon's life on the real kernel, in a namespace. */

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { after, suite, test } from 'node:test';
import { DaemonBed } from './daemon-bed.js';
import { until } from './namespace.js';

const policy = `
tables:
  bruteforce: { timeout: 1d, size: 1000 }
  office: { entries: [192.0.2.0/24, not 192.0.2.7] }
accounts:
  sales: 198.51.100.0/24
chains:
  input:
    policy: drop
    rules:
      - { from: <bruteforce>, do: drop }
      - { do: account sales }
      - { icmp: echo-request, do: accept }
      - { tcp: 22, from: <office>, do: accept }
`;

suite('the daemon', async () => {
  const bed = await DaemonBed.open({ after }, policy);
  const hosts = async () => {
    const listed = await bed.space.list('list', 'set', 'inet', 'postern', 't_bruteforce_h4');
    return [...listed.matchAll(/(\d+\.\d+\.\d+\.\d+)/g)].map(([address]) => address);
  };

  test('refuses a bad policy with its lines and status 3, and leaves the kernel alone', async () => {
    await bed.space.nft('table inet foreign {\n chain c {\n }\n}\n');
    bed.write(policy.replace('policy: drop', 'polcy: drop'));
    const { status, err } = await bed.failedStart();
    bed.write(policy);
    assert.equal(status, 3);
    assert.match(
      err,
      /policy\.yaml:9:5: error: "polcy" is not known here; did you mean "policy"\?\n +9 \| +polcy: drop\n/,
    );
    assert.equal(await bed.space.list('list', 'tables'), 'table inet foreign');
    assert.ok(!existsSync(bed.socket));
  });

  test('starts, keeps what it was told over SIGTERM and a new start, and ends with status 0', async () => {
    const first = await bed.start();
    assert.equal((await bed.postern('table', 'add', 'bruteforce', '203.0.113.7', '--timeout', '1h')).status, 0);
    assert.equal(
      (await bed.postern('table', 'add', 'bruteforce', '203.0.113.8', '--timeout', 'never', '-c', 'why')).status,
      0,
    );
    await bed.space.run('ping', '-c', '3', '-i', '0.2', '-I', 'lo', '127.0.0.1');
    const { status } = await first.stop();
    assert.equal(status, 0);
    assert.match(first.log(), /SIGTERM: stopping; the kernel stays as it is\n.*stopped\n$/);
    assert.deepEqual(await hosts(), ['203.0.113.7', '203.0.113.8']);
    assert.ok(!existsSync(bed.socket), 'its socket is gone');

    const second = await bed.start();
    assert.deepEqual(await hosts(), ['203.0.113.7', '203.0.113.8']);
    const { out } = await bed.postern('table', 'show', 'bruteforce');
    assert.match(
      out,
      /^203\.0\.113\.7 +expires in 59m \d+s +by cli uid 0\n203\.0\.113\.8 +permanent +by cli uid 0 +# why\n$/,
    );
    await second.stop();
  });

  test('that was killed leaves a socket that the next one replaces, and loses nothing', async () => {
    await (await bed.start()).kill();
    assert.ok(existsSync(bed.socket));
    const daemon = await bed.start();
    assert.equal((await bed.postern('table', 'test', 'bruteforce', '203.0.113.7')).status, 0);
    await daemon.stop();
  });

  test('is alone on its state and on its socket; a second one does no harm', async () => {
    const daemon = await bed.start();
    const sameState = await bed.failedStart('--socket', `${bed.folder}/other.sock`);
    assert.deepEqual(
      [sameState.status, sameState.err],
      [4, `postern: a daemon works on ${bed.state}: talk to it, stop it, or name another --state\n`],
    );
    const { status, err } = await bed.postern(
      'run',
      '-p',
      bed.policy,
      '--netns',
      bed.space.name,
      '--state',
      `${bed.folder}/other`,
    );
    assert.deepEqual(
      [status, err],
      [4, `postern: another daemon listens at ${bed.socket}; stop it, or give this one another --socket\n`],
    );
    assert.equal((await bed.postern('status')).status, 0);
    await daemon.stop();
  });

  test('reloads at SIGHUP: a good policy at once, a bad one not at all', async () => {
    const daemon = await bed.start();
    process.kill(daemon.pid, 'SIGHUP');
    await until('it says that nothing changed', () => daemon.log().includes('SIGHUP: nothing to change'));
    bed.write(policy.replace('tcp: 22', 'tcp: 2222'));
    process.kill(daemon.pid, 'SIGHUP');
    await until('the new rule is there', async () => (await bed.space.list()).includes('2222'));
    bed.write(policy.replace('tcp: 22', 'tpc: 22'));
    process.kill(daemon.pid, 'SIGHUP');
    await until('the error is logged', () => daemon.log().includes('SIGHUP: the policy stays as it was'));
    assert.match(daemon.log(), /error: SIGHUP: \S+policy\.yaml:\d+:\d+: error: "tpc"/);
    assert.ok((await bed.space.list()).includes('2222'));
    bed.write(policy);
    assert.deepEqual((await bed.postern('reload')).status, 0);
    assert.ok(!(await bed.space.list()).includes('2222'));
    await daemon.stop();
  });

  test('goes back to the old policy unless the new one is confirmed', async () => {
    const daemon = await bed.start();
    bed.write(policy.replace('tcp: 22', 'tcp: 2222'));
    const reloaded = await bed.postern('reload', '--confirm', '2s');
    assert.match(reloaded.out, /goes back in 2s unless you run 'postern confirm'\n$/);
    assert.ok((await bed.space.list()).includes('2222'));
    await until('it is back', async () => !(await bed.space.list()).includes('2222'));
    assert.equal((await bed.postern('confirm')).status, 4);
    assert.equal((await bed.postern('reload', '--confirm', '60s')).status, 0);
    assert.equal((await bed.postern('confirm')).out, 'confirmed\n');
    assert.ok((await bed.space.list()).includes('2222'));
    bed.write(policy);
    await bed.postern('reload');
    await daemon.stop();
  });

  test('runs the services of the policy as it changes, and says when one cannot start', async () => {
    writeFileSync(`${bed.folder}/key`, 'k'.repeat(20), { mode: 0o600 });
    bed.write(`${policy}pftabled: { listen: 127.0.0.1:56789, key: { file: key }, tables: [bruteforce] }\n`);
    const daemon = await bed.start();
    assert.match((await bed.postern('status')).out, /^pftabled +udp 127\.0\.0\.1:56789, tables bruteforce$/m);
    bed.write(`${policy}pftabled: { listen: 203.0.113.99:56789, key: { file: key }, tables: [bruteforce] }\n`);
    assert.equal((await bed.postern('reload')).status, 0);
    const { status, out } = await bed.postern('status');
    assert.equal(status, 1);
    assert.match(out, /^pftabled +failed: can't listen on UDP 203\.0\.113\.99:56789/m);
    bed.write(policy);
    await bed.postern('reload');
    const later = await bed.postern('status');
    assert.deepEqual([later.status, later.out.includes('pftabled')], [0, false]);
    await daemon.stop();
  });

  test('logs as JSON when asked to, one object a line', async () => {
    const daemon = await bed.start('--json');
    await bed.postern('table', 'add', 'bruteforce', '203.0.113.9');
    await daemon.stop();
    const lines = daemon
      .log()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const change = lines.find(({ table }) => table === 'bruteforce');
    assert.deepEqual(
      { ...change, time: undefined },
      {
        time: undefined,
        level: 'info',
        message: 'table bruteforce: 1 added by cli uid 0',
        table: 'bruteforce',
        source: 'cli',
        id: 'uid 0',
        added: 1,
        changed: 0,
        deleted: 0,
        unchanged: 0,
        refused: 0,
      },
    );
  });

  test('in a namespace that is not there says so', async () => {
    const { status, err } = await bed.postern(
      'run',
      '-p',
      bed.policy,
      '--netns',
      'pt-none',
      '--state',
      `${bed.folder}/none`,
    );
    assert.equal(status, 4);
    assert.match(err, /^postern: network namespace pt-none: not in \/run\/netns; see 'ip netns list'\n$/);
  });
});
