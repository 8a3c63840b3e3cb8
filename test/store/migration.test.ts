import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parsePrefix } from '../../src/net/prefix.js';
import { readFileHeader } from '../../src/store/frame.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { currentFormat } from '../../src/store/register-codec.js';
import { inForce, open, TestClock } from './fixtures.js';

const written = Date.UTC(2026, 9, 1, 12);

for (const format of [1, 2]) {
  test(`a store of format ${format} is read whole, and is in the current format from then on`, () => migrates(format));
}

async function migrates(format: number): Promise<void> {
  const fixture = fileURLToPath(new URL(`../../../test/store/format-${format}`, import.meta.url));
  const disk = memoryDisk();
  for (const name of readdirSync(fixture)) {
    const bytes = readFileSync(join(fixture, name));
    assert.equal(readFileHeader(bytes)?.format, format, name);
    disk.put(name, bytes);
  }
  const clock = new TestClock();
  clock.wall = written + 10_000;
  let store = await open(disk, clock, { bounds: { journalBytes: 1 } });
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(store.status().notices, []);
    assert.deepEqual(inForce(store, clock), ['192.0.2.1 +2591990s', '2001:db8::/32', 'not 203.0.113.7']);
    assert.deepEqual(inForce(store, clock, 'spammer'), ['198.51.100.2']);
    assert.equal(store.lastWord('bruteforce', parsePrefix('203.0.113.0/24'))?.op, 'delete');
    const ban = store.entry('bruteforce', parsePrefix('192.0.2.1'));
    assert.deepEqual(
      [ban?.at, ban?.comment, ban?.origin],
      [(written - 5_000) * 1_000, 'ssh', { kind: 'pftabled', id: '198.51.100.9' }],
    );
    assert.deepEqual(store.value('quota', 'guest')?.value, { usedBytes: 23_456 });
    assert.equal(store.value('condition', 'maintenance')?.value, true);
    const seen = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
    const valid = { from: written - 60_000, until: written + 62_000 };
    assert.equal(await store.replayWindow('pftabled').admit(seen, valid), false);
    store.tick();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store.close();
    for (const name of disk.list()) assert.equal(readFileHeader(disk.bytes(name))?.format, currentFormat, name);
    store = await open(disk.afterCrash(0), clock);
  }
  await store.close();
}
