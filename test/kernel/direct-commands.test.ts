/** Commands that need no daemon, on the real kernel. */

import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { execa } from 'execa';
import { DaemonBed } from './daemon-bed.js';

const policy = `
tables:
  bruteforce: { timeout: 1d, size: 1000 }
chains:
  input:
    policy: drop
    rules:
      - { from: <bruteforce>, do: drop }
      - { tcp: 22, do: accept }
`;

suite('without a daemon', async () => {
  const bed = await DaemonBed.open({ after }, policy);
  const rules = () => bed.space.list('list', 'ruleset');
  const changed = policy.replace('tcp: 22', 'tcp: 2222');

  test('check lets the kernel check', async () => {
    const { status, out } = await bed.postern('check', bed.policy, '--netns', bed.space.name);
    assert.equal(status, 0);
    assert.match(out, /policy\.yaml: good: \d+ rules, 1 table, 0 accounts\n$/);
    assert.equal(await rules(), '');
  });

  test('plan shows everything as new, and changes nothing', async () => {
    const { status, out } = await bed.postern('plan', bed.policy, ...bed.places);
    assert.equal(status, 0);
    assert.match(out, /^\+ table inet postern$/m);
    assert.match(out, /^\+ rule inet postern input: .*tcp dport 22 .*\(\S+policy\.yaml:9\)$/m);
    assert.match(out, /\n\d+ changes\n$/);
    assert.equal(await rules(), '');
  });

  test('apply loads the policy; applied again there is nothing to change', async () => {
    const { status, out, err } = await bed.postern('apply', bed.policy, ...bed.places);
    assert.deepEqual([status, err], [0, '']);
    assert.match(out, /\n\d+ changes applied\n$/);
    assert.match(await rules(), /tcp dport 22/);
    assert.equal((await bed.postern('plan', bed.policy, ...bed.places)).out, 'nothing to change\n');
    assert.equal((await bed.postern('apply', bed.policy, ...bed.places)).out, 'nothing to change\n');
  });

  test('apply keeps what is in sets', async () => {
    await bed.space.run('nft', 'add', 'element', 'inet', 'postern', 't_bruteforce_h4', '{ 203.0.113.7 timeout 1h }');
    bed.write(changed);
    const { out } = await bed.postern('apply', bed.policy, ...bed.places);
    assert.match(out, /^- rule .*dport 22 .*\n\+ rule .*dport 2222 /m);
    assert.match(await rules(), /203\.0\.113\.7/);
    bed.write(policy);
    assert.equal((await bed.postern('apply', '--dry-run', bed.policy, ...bed.places)).status, 0);
    assert.match(await rules(), /dport 2222/);
  });

  test('apply --confirm keeps the policy at Enter, and goes back when nobody presses it', async () => {
    const kept = await bed.feed('\n', 'apply', '--confirm', '20s', bed.policy, ...bed.places);
    assert.deepEqual([kept.status, kept.err], [0, 'applied; press Enter to keep it, else it goes back in 20 s\n']);
    assert.match(await rules(), /dport 22 /);
    bed.write(changed);
    const lost = await bed.postern('apply', '--confirm', '1s', bed.policy, ...bed.places);
    assert.equal(lost.status, 8);
    assert.match(lost.err, /\npostern: not confirmed within 1 s: what was in force before is back\n$/);
    assert.match(await rules(), /dport 22 /);
    assert.doesNotMatch(await rules(), /2222/);
    bed.write(policy);
  });

  test('show rules prints our tables alone, with counters when asked', async () => {
    await bed.space.nft('table inet foreign {\n chain theirs {\n }\n}\n');
    const { out } = await bed.postern('show', 'rules', '--netns', bed.space.name);
    assert.match(out, /tcp dport 22/);
    assert.doesNotMatch(out, /theirs|packets 0/);
    assert.match((await bed.postern('show', 'rules', '-c', '--netns', bed.space.name)).out, /packets \d+ bytes \d+/);
  });

  test('a daemon takes over what apply left, and commands then go through it', async () => {
    const daemon = await bed.start();
    assert.match((await bed.postern('table', 'show', 'bruteforce')).out, /^203\.0\.113\.7 +expires in 59m/);
    assert.equal((await bed.postern('plan')).out, 'nothing to change\n');
    assert.equal((await bed.postern('apply')).out, 'nothing to change\n');
    assert.equal((await bed.postern('apply', bed.policy)).status, 0);
    const other = await bed.postern('apply', `${bed.folder}/../other.yaml`);
    assert.notEqual(other.status, 0);
    await execa('cp', [bed.policy, `${bed.folder}/other.yaml`]);
    const copy = await bed.postern('apply', `${bed.folder}/other.yaml`);
    assert.equal(copy.status, 4);
    assert.match(copy.err, /^postern: the daemon runs \S+policy\.yaml: change that file, or stop the daemon, to apply/);
    const locked = await bed.postern('apply', bed.policy, ...bed.places);
    assert.deepEqual(
      [locked.status, locked.err],
      [4, `postern: a daemon works on ${bed.state}: talk to it, stop it, or name another --state\n`],
    );
    const down = await bed.postern('down', '--yes', '--netns', bed.space.name);
    assert.equal(down.status, 4);
    await daemon.stop();
  });

  test('down asks first, then removes our tables and no other', async () => {
    const asked = await bed.postern('down', '--netns', bed.space.name);
    assert.deepEqual(
      [asked.status, asked.err],
      [2, 'postern: this opens the firewall: it deletes inet postern; give --yes to do it\n'],
    );
    assert.match(await rules(), /postern/);
    assert.deepEqual(await bed.postern('down', '--yes', '--netns', bed.space.name), {
      status: 0,
      out: '1 table deleted\n',
      err: '',
    });
    assert.equal(await bed.space.list('list', 'tables'), 'table inet foreign');
    assert.equal((await bed.postern('down', '--yes', '--netns', bed.space.name)).out, '0 tables deleted\n');
    assert.equal((await bed.postern('show', 'rules', '--netns', bed.space.name)).status, 4);
  });

  test('apply after down brings back what was there, bans included', async () => {
    const { status } = await bed.postern('apply', bed.policy, ...bed.places);
    assert.equal(status, 0);
    assert.match(await rules(), /203\.0\.113\.7/);
  });

  test('table commands say how to start a daemon', async () => {
    const { status, err } = await bed.postern('table', 'list');
    assert.equal(status, 8);
    assert.match(
      err,
      /^postern: no daemon answers at \S+: start it with 'postern run --policy FILE', or name its socket/,
    );
  });

  test('a bad policy changes nothing and says where it is bad', async () => {
    const withoutElements = () => bed.space.list('-t', 'list', 'ruleset');
    const before = await withoutElements();
    bed.write(policy.replace('accept', 'acept'));
    const { status, err } = await bed.postern('apply', bed.policy, ...bed.places);
    assert.equal(status, 3);
    assert.match(err, /policy\.yaml:9:\d+: error: .*did you mean "accept"\?/);
    assert.equal(await withoutElements(), before);
    bed.write(policy);
  });
});
