import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkFolder } from '../../src/store/check-folder.js';
import { nodeDisk } from '../../src/store/disk.js';
import { type MemoryDisk, memoryDisk } from '../../src/store/memory-disk.js';
import { add, inForce, open, TestClock } from './fixtures.js';
import { storeSuite } from './store-suite.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-store-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

storeSuite('in memory', memoryDisk, (disk) => (disk as MemoryDisk).afterCrash(0));
storeSuite(
  'on disk',
  () => nodeDisk(join(folder, String(count++))),
  (disk) => disk,
);

test('room behind the last record of a journal is no damage, and goes when it is closed', async () => {
  const clock = new TestClock();
  const [path, copy] = [join(folder, String(count++)), join(folder, String(count++))];
  const store = await open(nodeDisk(path), clock);
  await store.write([add('192.0.2.1')]);
  cpSync(path, copy, { recursive: true });
  const journal = join(path, 'journal-00000001');
  assert.equal(readFileSync(journal).at(-1), 0, 'there is room');
  for (const { troubles, unfinished } of checkFolder(nodeDisk(copy)))
    assert.deepEqual([troubles, unfinished], [[], false]);
  const afterCrash = await open(nodeDisk(copy), clock);
  assert.deepEqual(afterCrash.status().notices, []);
  assert.deepEqual(inForce(afterCrash, clock), ['192.0.2.1']);
  await afterCrash.close();

  const large = Array.from({ length: 20_000 }, (_, n) =>
    add(`10.0.${n >> 8}.${n & 255}`, undefined, { comment: `${n}` }),
  );
  await store.write(large);
  const { journalBytes } = store.status();
  await store.close();
  assert.ok(statSync(journal).size - journalBytes < 100, 'nothing but the record of the clock at the end came since');
  const again = await open(nodeDisk(path), clock);
  assert.deepEqual(again.status().notices, []);
  assert.equal(again.status().entries, large.length + 1);
  await again.close();
});
