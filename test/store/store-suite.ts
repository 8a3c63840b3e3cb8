/** What a store does, whatever disk it is on. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '../../src/net/prefix.js';
import type { Disk } from '../../src/store/disk.js';
import { add, flush, hour, inForce, open, remove, root, start, TestClock } from './fixtures.js';

/** @param reopened the disk as the next process finds it */
export function storeSuite(kind: string, newDisk: () => Disk, reopened: (disk: Disk) => Disk): void {
  const restarted = async (disk: Disk, clock: TestClock) => open(reopened(disk), clock);

  test(`${kind}: what was written is there after a restart`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([add('192.0.2.1', start + hour, { comment: 'ssh' }), add('2001:db8::/32')]);
    await store.write([{ kind: 'value', space: 'quota', key: 'guest', value: { usedBytes: 17 } }]);
    await store.close();
    clock.pass(60_000);
    const again = await restarted(disk, clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.1 +3540s', '2001:db8::/32']);
    const entry = again.entry('bruteforce', parsePrefix('192.0.2.1'));
    assert.deepEqual([entry?.comment, entry?.origin, entry?.node], ['ssh', root, 'fw1']);
    assert.deepEqual(again.value('quota', 'guest')?.value, { usedBytes: 17 });
    assert.deepEqual(again.tables(), ['bruteforce']);
    await again.close();
  });

  test(`${kind}: deletes, flushes and expiry hold after a restart`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([add('192.0.2.1'), add('192.0.2.2', start + 1_000), add('192.0.2.3')]);
    await store.write([add('198.51.100.1', undefined, { table: 'spammer' })]);
    await store.write([remove('192.0.2.1')]);
    await store.write([flush('spammer')]);
    await store.write([add('198.51.100.2', undefined, { table: 'spammer' })]);
    await store.close();
    clock.pass(1_000);
    const again = await restarted(disk, clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.3']);
    assert.deepEqual(inForce(again, clock, 'spammer'), ['198.51.100.2']);
    assert.equal(again.lastWord('bruteforce', parsePrefix('192.0.2.1'))?.op, 'delete');
    assert.equal(again.lastWord('spammer', parsePrefix('198.51.100.1')), undefined);
    await again.close();
  });

  test(`${kind}: a change that is refused changes nothing`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock, { bounds: { maxEntries: 3 } });
    await assert.rejects(store.write([add('192.0.2.1'), add('192.0.2.2', undefined, { comment: 'a\u001b[2Jb' })]), {
      code: 'invalid',
      message: /control characters/,
    });
    await assert.rejects(store.write([add('192.0.2.1', undefined, { comment: 'x'.repeat(128) })]), { code: 'invalid' });
    await assert.rejects(store.write([add('192.0.2.1', -1)]), { code: 'invalid' });
    assert.deepEqual(inForce(store, clock), []);
    await store.write([add('192.0.2.1'), add('192.0.2.2'), add('192.0.2.3')]);
    await assert.rejects(store.write([add('192.0.2.4')]), { code: 'full' });
    assert.deepEqual(inForce(store, clock), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    await store.close();
  });

  test(`${kind}: a change can be taken back, and what came later stays`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([add('192.0.2.1', start + hour, { comment: 'first' }), add('192.0.2.2')]);
    const revoke = await store.write([
      add('192.0.2.1', start + 2 * hour, { comment: 'second' }),
      remove('192.0.2.2'),
      add('192.0.2.3'),
      add('192.0.2.4'),
      { kind: 'value', space: 'condition', key: 'maintenance', value: true },
    ]);
    await store.write([add('192.0.2.4', start + 3 * hour)]);
    await revoke();
    await store.close();
    const again = await restarted(disk, clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.1 +3600s', '192.0.2.2', '192.0.2.4 +10800s']);
    assert.equal(again.entry('bruteforce', parsePrefix('192.0.2.1'))?.comment, 'first');
    assert.equal(again.value('condition', 'maintenance'), undefined);
    await again.close();
  });

  test(`${kind}: a replacement by flush can be taken back as well`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([add('192.0.2.1', start + hour), add('192.0.2.2')]);
    const revoke = await store.write([
      flush(),
      add('192.0.2.2', start + 9 * hour),
      add('192.0.2.3'),
      remove('192.0.2.3'),
    ]);
    assert.deepEqual(inForce(store, clock), ['192.0.2.2 +32400s']);
    await revoke();
    assert.deepEqual(inForce(store, clock), ['192.0.2.1 +3600s', '192.0.2.2']);
    await store.close();
    const again = await restarted(disk, clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.1 +3600s', '192.0.2.2']);
    await again.close();
  });

  test(`${kind}: a signed message is taken once, before and after a restart`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const valid = { from: start - 60_000, until: start + 60_000 };
    const mark = Buffer.alloc(20, 7);
    const store = await open(disk, clock);
    const window = store.replayWindow('pftabled');
    assert.deepEqual(await Promise.all([window.admit(mark, valid), window.admit(mark, valid)]), [true, false]);
    assert.equal(await store.replayWindow('spa').admit(mark, valid), true, 'protocols are apart');
    assert.equal(await window.admit(Buffer.alloc(16), valid), true, 'zeros are a mark, too');
    assert.equal(await window.admit(Buffer.alloc(16), valid), false);
    await store.close();
    clock.pass(30_000);
    const again = await restarted(disk, clock);
    assert.equal(await again.replayWindow('pftabled').admit(mark, valid), false);
    assert.equal(await again.replayWindow('pftabled').admit(Buffer.alloc(16), valid), false);
    assert.equal(await again.replayWindow('pftabled').admit(Buffer.alloc(16, 1), valid), true);
    await again.close();
  });

  test(`${kind}: a sequence only rises, before and after a restart`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    const big = 2n ** 63n;
    assert.equal(store.sequence('sysrq').current, undefined);
    assert.deepEqual(await Promise.all([store.sequence('sysrq').advance(big), store.sequence('sysrq').advance(big)]), [
      true,
      false,
    ]);
    await store.close();
    const again = await restarted(disk, clock);
    assert.equal(again.sequence('sysrq').current, big);
    assert.equal(await again.sequence('sysrq').advance(big), false);
    assert.equal(await again.sequence('sysrq').advance(big + 1n), true);
    await again.close();
  });

  test(`${kind}: a value expires, is replaced and is deleted`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([{ kind: 'value', space: 'knock', key: 'ssh 192.0.2.1', value: 1, expiresAt: start + 1_000 }]);
    await store.write([{ kind: 'value', space: 'knock', key: 'ssh 192.0.2.2', value: [2] }]);
    await store.write([{ kind: 'value', space: 'knock', key: 'ssh 192.0.2.3', value: 3 }]);
    await store.write([{ kind: 'value', space: 'knock', key: 'ssh 192.0.2.3' }]);
    assert.equal(store.value('knock', 'ssh 192.0.2.1')?.value, 1);
    clock.pass(1_000);
    assert.deepEqual([...store.values('knock')], [['ssh 192.0.2.2', { value: [2] }]]);
    await store.close();
    const again = await restarted(disk, clock);
    assert.deepEqual([...again.values('knock')], [['ssh 192.0.2.2', { value: [2] }]]);
    await again.close();
  });

  test(`${kind}: a journal that grows is ended by a snapshot, and nothing is lost by it`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock, { bounds: { journalBytes: 20_000 } });
    for (let round = 0; round < 40; round++) {
      await store.write(Array.from({ length: 50 }, (_, i) => add(`198.51.100.${i}`, start + hour + round * 1_000)));
      store.tick();
    }
    const deadline = Date.now() + 10_000;
    while (store.status().snapshotBytes === 0 && Date.now() < deadline)
      await new Promise((done) => setTimeout(done, 5));
    await store.close();
    const names = disk.list().sort();
    assert.ok(
      names.some((name) => name.startsWith('snapshot-')),
      names.join(' '),
    );
    assert.ok(names.length <= 3, names.join(' '));
    const again = await restarted(disk, clock);
    assert.equal(again.status().entries, 50);
    assert.deepEqual(inForce(again, clock)[0], '198.51.100.0 +3639s');
    assert.deepEqual(again.status().notices, []);
    await again.close();
  });

  test(`${kind}: stamps rise though the clock goes back`, async () => {
    const [disk, clock] = [newDisk(), new TestClock()];
    const store = await open(disk, clock);
    await store.write([add('192.0.2.1')]);
    const before = store.lastWord('bruteforce', parsePrefix('192.0.2.1'))!.at;
    clock.step(-hour);
    await store.write([remove('192.0.2.1')]);
    const word = store.lastWord('bruteforce', parsePrefix('192.0.2.1'))!;
    assert.equal(word.op, 'delete');
    assert.ok(word.at > before);
    await store.close();
    clock.step(-hour);
    const again = await restarted(disk, clock);
    await again.write([add('192.0.2.1')]);
    assert.ok(again.lastWord('bruteforce', parsePrefix('192.0.2.1'))!.at > word.at);
    await again.close();
  });
}
