/** Locks that end with the process that holds them (flock(2)). */

import { closeSync, openSync } from 'node:fs';
import { PosternError } from '../errors.js';
import { CallError, ERRNO, LOCK, lastErrno, libc } from './layouts.js';

/**
 * Takes the lock of a file, which is made when it isn't there and stays; answers the function that gives it back.
 * @throws PosternError `conflict` when another process holds it, `system`.
 */
export function lockFile(path: string): () => void {
  let fd: number;
  try {
    fd = openSync(path, 'a', 0o600);
  } catch (cause) {
    throw new PosternError('system', `lock file ${path}: ${(cause as Error).message}`, { cause });
  }
  if (libc.flock(fd, LOCK.EX | LOCK.NB) === 0) return () => closeSync(fd);
  const errno = lastErrno();
  closeSync(fd);
  if (errno === ERRNO.EAGAIN) throw new PosternError('conflict', `${path} is locked by another process`);
  throw new PosternError('system', `lock file ${path}: ${new CallError('flock', errno).message}`);
}
