import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { nodeDisk } from '../../src/store/disk.js';
import { type MemoryDisk, memoryDisk } from '../../src/store/memory-disk.js';
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
