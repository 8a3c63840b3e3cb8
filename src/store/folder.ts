/** The state directory of a daemon: a store on the real disk that no other process opens at the same time. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { asPosternError } from '../errors.js';
import { lockFile } from '../kernel/file-lock.js';
import { nodeDisk } from './disk.js';
import { openStore, type StoreOptions } from './open.js';
import type { Store } from './store.js';

/**
 * Opens the store of a folder, which is made when it is missing. Succeeds whatever state the folder is in.
 * @throws PosternError `conflict` when another process has it open.
 */
export async function openFolder(path: string, options: Omit<StoreOptions, 'disk' | 'release'>): Promise<Store> {
  return openStore({ ...options, disk: nodeDisk(path), release: lock(path) });
}

/** A folder that can't be written can't be locked, and needs no lock. */
function lock(path: string): () => void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return lockFile(join(path, 'lock'));
  } catch (error) {
    if (asPosternError(error).code === 'conflict') throw error;
    return () => {};
  }
}
