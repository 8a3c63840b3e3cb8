/** The file of a UNIX socket: never wider open than it should be, never taken from a daemon that lives. */

import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { PosternError } from '../errors.js';
import { lockFile } from '../kernel/file-lock.js';

/** Owner and group may connect. */
const socketMode = 0o660;

/** `sun_path` has 108 bytes, the last one a zero (unix(7)). */
const maxPathBytes = 107;

/** While the socket isn't ready it has this name. */
const unready = '~';

/** A path that is ours to listen at. */
export interface SocketClaim {
  readonly path: string;
  /** Makes `bind` listen at a temporary path, which then takes the real name. */
  listen(bind: (path: string) => Promise<unknown>): Promise<void>;
  /** Removes the socket. Again: nothing. */
  release(): void;
}

/**
 * Claims a path before anything listens there, so that a second daemon finds out before it does harm. A socket that a
 * dead process left is replaced.
 * @throws PosternError `conflict` when a process listens there or something else has the name, `invalid`, `system`.
 */
export async function claimSocket(path: string): Promise<SocketClaim> {
  const temporary = `${path}${unready}`;
  if (Buffer.byteLength(temporary) > maxPathBytes) {
    throw new PosternError('invalid', `socket ${path}: the path is longer than ${maxPathBytes - unready.length} bytes`);
  }
  makeFolder(dirname(path));
  const unlock = lockSocket(path);
  try {
    await checkFree(path);
  } catch (error) {
    unlock();
    throw error;
  }
  let released = false;
  return {
    path,
    async listen(bind) {
      rmSync(temporary, { force: true });
      await bind(temporary);
      chmodSync(temporary, socketMode);
      renameSync(temporary, path);
    },
    release() {
      if (released) return;
      released = true;
      rmSync(path, { force: true });
      unlock();
    },
  };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw new PosternError('system', `folder ${folder}: ${(cause as Error).message}`, { cause });
  }
}

function lockSocket(path: string): () => void {
  try {
    return lockFile(`${path}.lock`);
  } catch (error) {
    if (error instanceof PosternError && error.code === 'conflict') throw taken(path);
    throw error;
  }
}

async function checkFree(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new PosternError('conflict', `${path} exists and is not a socket; move it away`);
  if (await answers(path)) throw taken(path);
}

function taken(path: string): PosternError {
  return new PosternError('conflict', `another daemon listens at ${path}; stop it, or give this one another --socket`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(new PosternError('system', `${path}: ${error.message}`, { cause: error }));
    });
  });
}
