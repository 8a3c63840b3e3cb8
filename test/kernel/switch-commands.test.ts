/** `postern condition …` and `postern quota …` against a daemon on the real kernel. */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { DaemonBed, type RunningDaemon } from './daemon-bed.js';

const policy = `
conditions: { day: on, night: off }
quotas: { guest: { bytes: 10GiB }, pings: { packets: 100 }, up: { bytes: 0 } }
hygiene: off
chains:
  input:
    rules:
      - { condition: day, quota: guest, udp: 1, do: count }
      - { condition: not night, quota: pings, udp: 2, do: count }
      - { quota: { name: up, grow: true }, udp: 3, do: count }
`;

suite('condition and quota commands', async () => {
  const bed = await DaemonBed.open({ after }, policy);
  let daemon: RunningDaemon;
  before(async () => {
    daemon = await bed.start();
  });
  after(async () => {
    await daemon.stop();
  });
  const out = async (...args: readonly string[]) => {
    const { status, out, err } = await bed.postern(...args);
    assert.deepEqual([status, err], [0, ''], args.join(' '));
    return out;
  };
  const refused = async (status: number, message: RegExp, ...args: readonly string[]) => {
    const ended = await bed.postern(...args);
    assert.deepEqual([ended.status, ended.out], [status, ''], args.join(' '));
    assert.match(ended.err, message);
  };
  const values = () => Promise.all([out('condition', 'list'), out('quota', 'list')]);

  test('conditions are listed, shown and set, several at once', async () => {
    assert.equal(await out('condition', 'list'), 'CONDITION  STATE\nday        on\nnight      off\n');
    assert.equal(await out('condition', 'show', 'night'), 'off\n');
    assert.equal(await out('condition', 'set', 'day', 'off', 'night', 'on'), 'day is now off\nnight is now on\n');
    assert.equal(await out('condition', 'set', 'day', '0', 'night', '0'), 'day was off\nnight is now off\n');
    assert.deepEqual(JSON.parse(await out('condition', 'show', 'day', '--json')), { name: 'day', on: false });
  });

  test('a condition that is not there, has no state or comes twice leaves all as they were', async () => {
    const before = await values();
    await refused(
      4,
      /there is no condition dusk; the policy has: day, night/,
      'condition',
      'set',
      'day',
      'on',
      'dusk',
      'on',
    );
    await refused(2, /'maybe' is no state; write on or off/, 'condition', 'set', 'day', 'maybe');
    await refused(2, /condition night has no state/, 'condition', 'set', 'day', 'on', 'night');
    await refused(2, /condition day is set twice/, 'condition', 'set', 'day', 'on', 'day', 'off');
    assert.deepEqual(await values(), before);
  });

  test('quotas are listed, set, raised, lowered and reset', async () => {
    const head = 'QUOTA  UNIT           VALUE  INITIAL\n';
    const rows =
      'guest  bytes    10737418240    10GiB\npings  packets          100      100\nup     bytes              0        0\n';
    assert.equal(await out('quota', 'list'), head + rows);
    assert.equal(await out('quota', 'set', 'guest', '5GB'), '5000000000\n');
    assert.equal(await out('quota', 'add', 'guest', '1000'), '5000001000\n');
    assert.equal(await out('quota', 'sub', 'guest', '100GiB'), '0\n');
    assert.equal(await out('quota', 'set', 'pings', '7'), '7\n');
    assert.equal(await out('quota', 'reset', 'pings'), '100\n');
  });

  test('an amount that is none, or is more than a quota holds, changes nothing', async () => {
    await out('quota', 'set', 'guest', '9007199254740990');
    await refused(2, /it goes from 0 to 9007199254740991/, 'quota', 'add', 'guest', '5');
    await refused(2, /"many" is not a size/, 'quota', 'set', 'guest', 'many');
    for (const verb of ['set', 'add', 'sub']) {
      await refused(
        2,
        /quota pings counts packets: write a number of packets, not of bytes/,
        'quota',
        verb,
        'pings',
        '5KiB',
      );
    }
    assert.equal(await out('quota', 'show', 'pings'), '100\n');
    await refused(4, /there is no quota gast; the policy has: guest, pings, up/, 'quota', 'show', 'gast');
    assert.equal(await out('quota', 'show', 'guest'), '9007199254740990\n');
  });

  test('what was set is there after a reload, a restart, a crash, and a boot that comes behind it', async () => {
    await out('quota', 'set', 'guest', '4242');
    await out('quota', 'set', 'pings', '33');
    await out('condition', 'set', 'day', 'off', 'night', 'on');
    const before = await values();
    bed.write(policy.replace('udp: 3', 'udp: 4'));
    await out('reload');
    assert.deepEqual(await values(), before, 'reload');
    await daemon.stop();
    daemon = await bed.start();
    assert.deepEqual(await values(), before, 'restart');
    await out('quota', 'sub', 'guest', '42');
    const after = await values();
    await daemon.kill();
    daemon = await bed.start();
    assert.deepEqual(await values(), after, 'crash');
    await daemon.kill();
    await bed.space.nft('flush ruleset');
    daemon = await bed.start();
    assert.deepEqual(await values(), after, 'boot');
  });
});
