/** Secrets that services read from files. */

import { readFile, stat } from 'node:fs/promises';
import { PosternError } from '../errors.js';
import type { Log } from './service.js';

/**
 * The bytes of a file. Warns when others than its owner can read it.
 * @param what for people: `the SYSRQ password`
 * @throws PosternError `system` when it can't be read
 */
export async function readSecret(path: string, what: string, log: Pick<Log, 'warn'>): Promise<Buffer> {
  const [bytes, { mode }] = await Promise.all([readFile(path), stat(path)]).catch((cause: Error) => {
    throw new PosternError('system', `can't read ${what}: ${cause.message}`, { cause });
  });
  if ((mode & 0o077) !== 0) log.warn(`others can read ${what} in ${path}; make it so with: chmod 600 ${path}`);
  return bytes;
}

/** Without the newline that editors leave at the end. */
export function withoutNewline(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}
