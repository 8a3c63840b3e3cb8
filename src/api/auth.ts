/** Bearer tokens of TCP listeners (RFC 6750). A UNIX socket is guarded by its file mode instead. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { PosternError } from '../errors.js';

/** 128 bits in base64. Shorter ones can be guessed. */
const minTokenLength = 22;

const groupWrite = 0o020;
const others = 0o007;

/** A secret that can be compared and not read back. */
export interface Token {
  readonly digest: Uint8Array;
}

/**
 * Reads a token file: one line, the token.
 * @throws PosternError `system` when it can't be read, `forbidden` when others could read or change it, `invalid`.
 */
export function readToken(path: string): Token {
  const text = readGuarded(path).trim();
  if (text.length < minTokenLength || /\s/.test(text)) {
    throw new PosternError(
      'invalid',
      `${path}: a token is one line of at least ${minTokenLength} characters; make one with 'openssl rand -base64 32'`,
    );
  }
  return { digest: digestOf(text) };
}

function readGuarded(path: string): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw new PosternError('system', `token file ${path}: ${(cause as Error).message}`, { cause });
  }
  try {
    const { mode, uid } = fstatSync(file);
    const loose = (mode & (others | groupWrite)) !== 0;
    if (loose) throw new PosternError('forbidden', `token file ${path} is open to others: run 'chmod 640 ${path}'`);
    if (uid !== 0 && uid !== process.getuid?.()) {
      throw new PosternError('forbidden', `token file ${path} belongs to another user: run 'chown root ${path}'`);
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Is this the value of an `Authorization` header with the token? In a time that doesn't depend on the guess. */
export function bears(token: Token, authorization: string | undefined): boolean {
  const [, given] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
  return timingSafeEqual(token.digest, digestOf(given ?? ''));
}

function digestOf(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
