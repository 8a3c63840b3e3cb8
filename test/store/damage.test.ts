import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePrefix } from '../../src/net/prefix.js';
import { errnoError, type MemoryDisk, memoryDisk } from '../../src/store/memory-disk.js';
import { add, inForce, open, remove, start, TestClock } from './fixtures.js';

const valid = { from: start - 60_000, until: start + 60_000 };
const mark = Buffer.alloc(16, 9);

/** Three changes and a mark, in one journal. */
async function filled(): Promise<MemoryDisk> {
  const disk = memoryDisk();
  const store = await open(disk, new TestClock());
  for (const n of [1, 2, 3]) await store.write([add(`192.0.2.${n}`)]);
  await store.replayWindow('pftabled').admit(mark, valid);
  await store.close();
  return disk.afterCrash(0);
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

test('records behind a damaged one are read, the file is set aside, and its content is kept', async () => {
  const disk = await filled();
  const bytes = disk.bytes('journal-00000001');
  bytes[bytes.indexOf(Buffer.from(parsePrefix('192.0.2.2').value.toString(16), 'hex'))]! ^= 1;
  disk.put('journal-00000001', bytes);
  const clock = new TestClock();
  const told: string[] = [];
  const store = await open(disk, clock, { notify: (notice) => told.push(notice) });
  assert.deepEqual(inForce(store, clock), ['192.0.2.1', '192.0.2.3']);
  assert.equal(told.length, 1);
  assert.match(
    told[0]!,
    /journal-00000001 is damaged: \d+ bytes from \d+ on are damaged; .* the file stays as journal-00000001\.damaged-2026-11-22T06-00-00Z$/,
  );
  assert.deepEqual(store.status().notices, told);
  await settled();
  await store.close();
  assert.deepEqual(disk.bytes('journal-00000001.damaged-2026-11-22T06-00-00Z'), bytes);
  const again = await open(disk.afterCrash(0), clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1', '192.0.2.3']);
  assert.deepEqual(again.status().notices, []);
  await again.close();
});

test('signed messages that may have been taken before a loss are refused, later ones are taken', async () => {
  const disk = await filled();
  const bytes = disk.bytes('journal-00000001');
  bytes.fill(0xff, 20, 200);
  disk.put('journal-00000001', bytes);
  const clock = new TestClock();
  const store = await open(disk, clock);
  const other = Buffer.alloc(16, 1);
  assert.equal(await store.replayWindow('pftabled').admit(other, valid), false);
  await settled();
  await store.close();
  clock.pass(10_000);
  const again = await open(disk.afterCrash(0), clock);
  const window = again.replayWindow('pftabled');
  assert.equal(
    await window.admit(other, { from: start - 1, until: start + 120_000 }),
    false,
    'also after another start',
  );
  assert.equal(await window.admit(other, { from: start, until: start + 120_000 }), true);
  await again.close();
});

test('any bytes anywhere end neither the store nor its ability to keep what comes', async () => {
  const whole = await filled();
  const names = whole.list();
  const edits = fc.array(fc.tuple(fc.nat(2_000), fc.uint8Array({ minLength: 1, maxLength: 40 })), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(edits, fc.option(fc.nat(2_000)), async (list, cut) => {
      const disk = memoryDisk();
      for (const name of names) {
        const bytes = whole.bytes(name);
        for (const [at, garbage] of list)
          bytes.set(garbage.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
        disk.put(name, bytes.subarray(0, cut ?? bytes.length));
      }
      const clock = new TestClock();
      const store = await open(disk, clock);
      await store.write([add('198.51.100.1', undefined, { table: 'new' })]);
      await store.close();
      const again = await open(disk.afterCrash(0), clock);
      assert.deepEqual(inForce(again, clock, 'new'), ['198.51.100.1']);
      await again.close();
    }),
    { numRuns: 200 },
  );
});

test('a snapshot that lacks its end is read as far as it goes, with what came before it', async () => {
  const disk = memoryDisk();
  const clock = new TestClock();
  const store = await open(disk, clock, { bounds: { journalBytes: 10 } });
  await store.write([add('192.0.2.1'), add('192.0.2.2')]);
  store.tick();
  await settled();
  await store.close();
  const left = disk.afterCrash(0);
  const [snapshot] = left.list().filter((name) => name.startsWith('snapshot'));
  assert.ok(snapshot);
  const bytes = left.bytes(snapshot);
  left.put(snapshot, bytes.subarray(0, bytes.length - 17));
  const again = await open(left, clock);
  assert.deepEqual(inForce(again, clock), ['192.0.2.1', '192.0.2.2']);
  assert.match(again.status().notices.join(), /it ends before its last record/);
  await again.close();
});

test('a missing journal is noticed', async () => {
  const disk = memoryDisk();
  const clock = new TestClock();
  let store = await open(disk, clock, { bounds: { journalBytes: 10 } });
  await store.write([add('192.0.2.1')]);
  store.tick();
  await settled();
  await store.close();
  store = await open(disk, clock);
  await store.close();
  store = await open(disk, clock);
  await store.close();
  disk.remove('journal-00000003');
  store = await open(disk, clock);
  assert.match(store.status().notices.join(), /journal-00000004 is damaged: the journal before it is missing/);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1']);
  await store.close();
});

test('files of a newer version are left whole under another name, and the store begins empty', async () => {
  const disk = await filled();
  const bytes = disk.bytes('journal-00000001');
  bytes.writeUInt16BE(99, 8);
  disk.put('journal-00000001', bytes);
  const clock = new TestClock();
  const store = await open(disk, clock);
  assert.deepEqual(inForce(store, clock), []);
  assert.match(
    store.status().notices.join(),
    /was written by a newer version: its format is 99, and this version knows formats up to 3; .*install the newer version/,
  );
  await store.write([add('192.0.2.9')]);
  await store.close();
  assert.deepEqual(disk.bytes('journal-00000001.newer-2026-11-22T06-00-00Z'), bytes);
});

test('only a few of the files that were set aside stay', async () => {
  const disk = await filled();
  for (let day = 10; day < 22; day++) disk.put(`journal-00000001.damaged-2026-11-${day}T00-00-00Z`, Buffer.from('x'));
  disk.put('journal-00000001', disk.bytes('journal-00000001').fill(0, 20, 60));
  const store = await open(disk, new TestClock());
  await settled();
  await store.close();
  const aside = disk
    .list()
    .filter((name) => name.includes('damaged'))
    .sort();
  assert.equal(aside.length, 6);
  assert.ok(aside.includes('journal-00000001.damaged-2026-11-22T06-00-00Z'));
  assert.ok(aside.includes('journal-00000001.damaged-2026-11-21T00-00-00Z'));
});

for (const errno of ['ENOSPC', 'EROFS', 'EIO'] as const) {
  test(`${errno} while running: changes go on in memory, signed messages are refused, and all is written when it works again`, async () => {
    const disk = memoryDisk();
    const clock = new TestClock();
    const told: string[] = [];
    const store = await open(disk, clock, { notify: (notice) => told.push(notice) });
    await store.write([add('192.0.2.1'), add('192.0.2.2')]);
    disk.beforeEffect = (_effect, name) => {
      throw errnoError(errno, name);
    };
    await store.write([add('192.0.2.3'), remove('192.0.2.1')]);
    await store.write([add('192.0.2.4')]);
    assert.deepEqual(inForce(store, clock), ['192.0.2.2', '192.0.2.3', '192.0.2.4']);
    assert.equal(store.status().mode, 'memory');
    assert.equal(told.length, 1);
    assert.match(told[0]!, new RegExp(`can't be written \\(${errno}: .*make room or make it writable`));
    const window = store.replayWindow('pftabled');
    await assert.rejects(window.admit(mark, valid), { code: 'system', message: /signed requests are refused/ });
    await assert.rejects(store.sequence('sysrq').advance(1n), { code: 'system' });

    clock.pass(5_000);
    store.tick();
    await settled();
    assert.equal(store.status().mode, 'memory', 'still no room');
    disk.beforeEffect = () => {};
    clock.pass(5_000);
    store.tick();
    await settled();
    assert.equal(store.status().mode, 'durable');
    assert.match(told.at(-1)!, /can be written again/);
    assert.equal(await window.admit(Buffer.alloc(16, 3), valid), true);
    await store.close();
    const again = await open(disk.afterCrash(0), clock);
    assert.deepEqual(inForce(again, clock), ['192.0.2.2', '192.0.2.3', '192.0.2.4']);
    await again.close();
  });
}

test('a disk that is read-only from the start is read, and changes go on in memory', async () => {
  const disk = await filled();
  disk.beforeEffect = (_effect, name) => {
    throw errnoError('EROFS', name);
  };
  const clock = new TestClock();
  const store = await open(disk, clock);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  await store.write([remove('192.0.2.3')]);
  assert.deepEqual(inForce(store, clock), ['192.0.2.1', '192.0.2.2']);
  assert.equal(store.status().mode, 'memory');
  await store.close();
});
