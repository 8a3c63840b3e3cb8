/** `postern table …` and `postern account …` against a daemon on the real kernel. */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { DaemonBed, type RunningDaemon } from './daemon-bed.js';

const policy = `
tables:
  bruteforce: { timeout: 1d, size: 200000 }
  office: { entries: [192.0.2.0/24, not 192.0.2.7] }
accounts:
  local: 127.0.0.0/8
hygiene: off
chains:
  input:
    rules:
      - { from: <bruteforce>, do: drop }
      - { from: <office>, do: accept }
      - { do: account local }
      - { state: [established, related], do: accept }
`;

suite('table commands', async () => {
  const bed = await DaemonBed.open({ after }, policy);
  let daemon: RunningDaemon;
  before(async () => {
    daemon = await bed.start();
  });
  after(async () => {
    await daemon.stop();
  });
  const plain = async (table = 'bruteforce') => (await bed.postern('table', 'show', table, '--plain')).out;

  test('list shows the tables', async () => {
    assert.deepEqual(await bed.postern('table', 'list'), {
      status: 0,
      out: 'TABLE       HOSTS  PREFIXES    SIZE  TIMEOUT\nbruteforce      0         0  200000  1d\noffice          0         2   65536  never\n',
      err: '',
    });
    assert.equal((await bed.postern('table', 'list', '--plain')).out, 'bruteforce\noffice\n');
  });

  test('add, show and delete work on hosts, prefixes and exceptions of both families', async () => {
    const added = await bed.postern(
      'table',
      'add',
      'bruteforce',
      '203.0.113.7',
      '2001:db8::/32',
      '!2001:db8:1::1',
      '-t',
      '10m',
      '-c',
      'a note',
    );
    assert.deepEqual(added, { status: 0, out: '3 added\n', err: '' });
    assert.equal(await plain(), '203.0.113.7\n2001:db8::/32\n!2001:db8:1::1\n');
    const again = await bed.postern('table', 'add', 'bruteforce', '203.0.113.7', '203.0.113.8');
    assert.equal(again.out, '1 added, 1 changed\n');
    const deleted = await bed.postern('table', 'delete', 'bruteforce', '203.0.113.7', '203.0.113.77');
    assert.equal(deleted.out, '1 deleted, 1 already so\n');
    assert.match(await bed.space.list('list', 'set', 'inet', 'postern', 't_bruteforce_h4'), /203\.0\.113\.8/);
  });

  test('test tells by its status whether all are in the table', async () => {
    const both = await bed.postern('table', 'test', 'bruteforce', '203.0.113.8', '2001:db8:1::1');
    assert.equal(both.status, 1);
    assert.match(
      both.out,
      /^203\.0\.113\.8 is in bruteforce: .*\n2001:db8:1::1 is not in bruteforce: !2001:db8:1::1 .*\n$/,
    );
    assert.equal((await bed.postern('table', 'test', 'bruteforce', '203.0.113.8')).status, 0);
  });

  test('replace and flush leave what the policy says', async () => {
    assert.match((await bed.postern('table', 'replace', 'office', '203.0.113.1')).out, /^1 added/);
    assert.equal(await plain('office'), '192.0.2.0/24\n!192.0.2.7\n203.0.113.1\n');
    assert.equal((await bed.postern('table', 'flush', 'office')).out, '1 deleted\n');
    assert.equal(await plain('office'), '192.0.2.0/24\n!192.0.2.7\n');
    const refused = await bed.postern('table', 'delete', 'office', '192.0.2.0/24');
    assert.equal(refused.status, 4);
    assert.match(
      refused.err,
      /1 not done, because the policy itself says otherwise of the same prefix: edit the policy/,
    );
  });

  test('what show prints can be fed in again, with comments and what is left of the time', async () => {
    const { out } = await bed.postern('table', 'show', 'bruteforce', '--json');
    await bed.postern('table', 'flush', 'bruteforce');
    assert.equal((await bed.feed(out, 'table', 'add', 'bruteforce', '-')).status, 0);
    const again = (await bed.postern('table', 'show', 'bruteforce', '--json')).out;
    const facts = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => {
          const { address, not, comment } = JSON.parse(line) as Record<string, unknown>;
          return { address, not, comment };
        });
    assert.deepEqual(facts(again), facts(out));
    assert.equal((await bed.feed('# none\n', 'table', 'replace', 'bruteforce', '-')).status, 0);
    assert.equal(await plain(), '');
  });

  test('100,000 entries go in and out through standard streams', async () => {
    const list = Array.from({ length: 100_000 }, (_, i) => `198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}\n`).join(
      '',
    );
    assert.deepEqual(await bed.feed(list, 'table', 'add', 'bruteforce', '-'), {
      status: 0,
      out: '100000 added\n',
      err: '',
    });
    assert.equal(await plain(), list);
    assert.equal((await bed.postern('table', 'flush', 'bruteforce')).out, '100000 deleted\n');
  });

  test('a reader that goes away ends the command quietly', async () => {
    await bed.feed(
      Array.from({ length: 5000 }, (_, i) => `203.0.${i >> 8}.${i & 255}\n`).join(''),
      'table',
      'add',
      'bruteforce',
      '-',
    );
    const { out, err, status } = await bed.shell('set -o pipefail; postern table show bruteforce | head -1');
    assert.match(out, /^203\.0\.0\.0 .*\n$/);
    assert.deepEqual([err, status], ['', 141]);
    await bed.postern('table', 'flush', 'bruteforce');
  });

  test('what is wrong is one line with the status of its kind', async () => {
    for (const [args, status, err] of [
      [['add', 'none', '192.0.2.1'], 4, 'postern: there is no table none; the policy has: bruteforce, office'],
      [['add', 'bruteforce', '192.0.2.256'], 2, 'postern: "192.0.2.256" is not an IP address'],
      [['add', 'bruteforce', '192.0.2.1', '-t', '5'], 2, 'postern: "5" is not a duration; is 5s meant?'],
      [['add', 'bruteforce', '192.0.2.1', '-'], 2, "postern: '-' (standard input) can't stand beside"],
      [['test', 'bruteforce', '192.0.2.0/24'], 2, 'postern: "192.0.2.0/24"'],
    ] as const) {
      const outcome = await bed.postern('table', ...args);
      assert.equal(outcome.status, status, outcome.err);
      assert.ok(outcome.err.startsWith(err), `${outcome.err} begins with ${err}`);
      assert.equal(outcome.err.split('\n').length, 2);
    }
  });

  test('accounts are listed, read and flushed', async () => {
    assert.match(
      (await bed.postern('account', 'list')).out,
      /^ACCOUNT +SIZE +NETWORKS\nlocal +65536 +127\.0\.0\.0\/8\n$/,
    );
    await bed.space.run('ping', '-c', '4', '-i', '0.2', '-s', '72', '127.0.0.1');
    const line = /^127\.0\.0\.1 +8 +800 +8 +800$/m;
    assert.match((await bed.postern('account', 'show', 'local')).out, line);
    assert.match((await bed.postern('account', 'flush', 'local')).out, line);
    assert.doesNotMatch((await bed.postern('account', 'show', 'local')).out, /127\.0\.0\.1/);
  });

  test('an account is watched as its traffic flows', async () => {
    const pinging = bed.space.start('ping', ['-c', '30', '-i', '0.1', '127.0.0.1']);
    const { status, out } = await bed.postern(
      'account',
      'watch',
      'local',
      '--interval',
      '500ms',
      '--rounds',
      '3',
      '--json',
    );
    await pinging;
    assert.equal(status, 0);
    const rounds = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { rates: { address: string; source: { packets: number } }[] });
    assert.equal(rounds.length, 3);
    const [rate] = rounds.at(-1)!.rates;
    assert.equal(rate?.address, '127.0.0.1');
    assert.ok(rate!.source.packets > 5 && rate!.source.packets < 50, `${rate!.source.packets} packets a second`);
  });
});
