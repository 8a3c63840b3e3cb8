/** The folder in which a daemon keeps its state; one process at a time works on it. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PosternError } from '../../errors.js';
import { lockFile } from '../../kernel/file-lock.js';
import { nodeDisk } from '../../store/disk.js';
import { openStore } from '../../store/open.js';
import type { Store } from '../../store/store.js';
import { nodeName } from './node-name.js';

/** Answers the function that gives it free. @throws PosternError `conflict` when another process works on it, `system`. */
export function lockState(folder: string): () => void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new PosternError('system', `state folder ${folder}: ${(cause as Error).message}`, { cause });
  }
  try {
    return lockFile(join(folder, 'lock'));
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'conflict') throw error;
    throw new PosternError('conflict', `a daemon works on ${folder}: talk to it, stop it, or name another --state`);
  }
}

/** @param notify is told of damage, a stepped clock, a full disk. */
export function openStoreIn(folder: string, notify: (notice: string) => void): Promise<Store> {
  return openStore({ disk: nodeDisk(join(folder, 'store')), node: nodeName(), notify });
}
