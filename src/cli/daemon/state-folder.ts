/** The folder in which a daemon keeps its state; one process at a time works on it. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { asPosternError, PosternError } from '../../errors.js';
import { lockFile } from '../../kernel/file-lock.js';
import { nodeDisk } from '../../store/disk.js';
import { openStore } from '../../store/open.js';
import type { Store } from '../../store/store.js';
import { nodeName } from './node-name.js';

/**
 * Answers the function that gives it free. A folder that can't be written can't be locked and needs no lock: the firewall
 * goes on without it.
 * @param notify is told then
 * @throws PosternError `conflict` when another process works on it.
 */
export function lockState(folder: string, notify: (notice: string) => void): () => void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return lockFile(join(folder, 'lock'));
  } catch (thrown) {
    const { code, message } = asPosternError(thrown);
    if (code === 'conflict') {
      throw new PosternError('conflict', `a daemon works on ${folder}: talk to it, stop it, or name another --state`);
    }
    notify(`the state folder ${folder} can't be used (${message}); nothing is kept there`);
    return () => {};
  }
}

/** @param notify is told of damage, a stepped clock, a full disk. */
export function openStoreIn(folder: string, notify: (notice: string) => void): Promise<Store> {
  return openStore({ disk: nodeDisk(join(folder, 'store')), node: nodeName(), notify });
}
