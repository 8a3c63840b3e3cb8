import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFolder } from '../../src/store/check-folder.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { readFolder } from '../../src/store/read-folder.js';
import type { Store } from '../../src/store/store.js';
import { exportLines, importLines } from '../../src/store/transfer.js';
import { add, flush, hour, inForce, open, remove, start, TestClock } from './fixtures.js';

async function* pieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const exported = (store: Store, clock: TestClock) =>
  [...exportLines(store.node, store.registers(), clock.wall)].map((line) => `${line}\n`).join('');

async function filled(clock: TestClock) {
  const disk = memoryDisk();
  const store = await open(disk, clock);
  await store.write([add('192.0.2.1', start + hour, { comment: 'grüße' }), add('2001:db8::/32'), add('192.0.2.3')]);
  await store.write([remove('192.0.2.3'), add('198.51.100.1', undefined, { table: 'spammer' })]);
  await store.write([flush('spammer'), { kind: 'value', space: 'quota', key: 'guest', value: { usedBytes: 5 } }]);
  await store.replayWindow('pftabled').admit(Buffer.alloc(16, 3), { from: start - 60_000, until: start + 60_000 });
  await store.sequence('sysrq').advance(77n);
  return { disk, store };
}

test('what one machine exports another one imports, in pieces of any size, and again without harm', async () => {
  const clock = new TestClock();
  const { store } = await filled(clock);
  const text = exported(store, clock);
  for (const size of [1, 7, 100_000]) {
    const other = await open(memoryDisk(), clock, { node: 'fw2' });
    await other.write([add('203.0.113.9')]);
    assert.deepEqual(await importLines(other, pieces(text, size)), { records: 7, won: 7 });
    assert.deepEqual(await importLines(other, pieces(text, size)), { records: 7, won: 0 });
    assert.deepEqual(inForce(other, clock), ['192.0.2.1 +3600s', '2001:db8::/32', '203.0.113.9']);
    assert.deepEqual(inForce(other, clock, 'spammer'), []);
    assert.deepEqual(other.value('quota', 'guest')?.value, { usedBytes: 5 });
    assert.equal(other.sequence('sysrq').current, 77n);
    const seen = { from: start - 60_000, until: start + 60_000 };
    assert.equal(await other.replayWindow('pftabled').admit(Buffer.alloc(16, 3), seen), false);
    await other.write([remove('2001:db8::/32')]);
    assert.deepEqual(
      inForce(other, clock),
      ['192.0.2.1 +3600s', '203.0.113.9'],
      'our word is later than what was imported',
    );
    await other.close();
  }
  await store.close();
});

test('an import stops at the first line that is none, and says where', async () => {
  const clock = new TestClock();
  const { store } = await filled(clock);
  const lines = exported(store, clock).split('\n');
  lines[4] = '{"kind":"entry","table":"x"}';
  const other = await open(memoryDisk(), clock);
  await assert.rejects(importLines(other, pieces(lines.join('\n'), 50)), {
    code: 'invalid',
    message: /^line 5: "prefix" is missing/,
  });
  assert.equal([...other.registers()].length, 3, 'what stood before it is in');
  await assert.rejects(importLines(other, pieces('', 1)), { code: 'invalid', message: /nothing to import/ });
  await assert.rejects(importLines(other, pieces('192.0.2.1\n', 9)), {
    code: 'invalid',
    message: /^line 1: "192.0.2.1" is not JSON/,
  });
  await assert.rejects(importLines(other, pieces('{"a":1}\n', 9)), {
    code: 'invalid',
    message: /^line 1: this is no export/,
  });
  await other.close();
  await store.close();
});

test('records from the future are refused, since our own words would lose against them', async () => {
  const clock = new TestClock();
  const { store } = await filled(clock);
  const text = exported(store, clock);
  clock.step(-3 * 24 * hour);
  const other = await open(memoryDisk(), clock);
  await assert.rejects(importLines(other, pieces(text, 1_000)), {
    code: 'invalid',
    message: /is from the future .* set the clock/,
  });
  await other.close();
  await store.close();
});

test('a folder is read beside the store that writes it', async () => {
  const clock = new TestClock();
  const { disk, store } = await filled(clock);
  const { state, loaded } = readFolder(disk);
  assert.deepEqual(loaded.damaged, []);
  assert.deepEqual(state.counts, { entries: 2, tombstones: 1, values: 2, marks: 1 });
  await store.close();
});

test('a check tells every file, what it holds, and what is wrong with it', async () => {
  const clock = new TestClock();
  const { disk, store } = await filled(clock);
  await store.close();
  const again = await open(disk, clock);
  await again.write([add('192.0.2.77')]);
  await again.close();
  const summary = () =>
    [...checkFolder(disk)].map(({ name, registers, troubles, unfinished }) => ({
      name,
      registers,
      troubles,
      unfinished,
    }));
  const [first, second] = ['journal-00000001', 'journal-00000002'];
  assert.deepEqual(summary(), [
    { name: first, registers: 9, troubles: [], unfinished: false },
    { name: second, registers: 1, troubles: [], unfinished: false },
  ]);
  disk.put(second, Buffer.concat([disk.bytes(second), Buffer.from('PSFR')]));
  assert.deepEqual(summary()[1], { name: second, registers: 1, troubles: [], unfinished: true });
  const bytes = disk.bytes(first);
  bytes[200]! ^= 1;
  disk.put(first, bytes);
  assert.match(summary()[0]!.troubles.join(), /^\d+ bytes from \d+ on are damaged$/);
});
