/** Loading nft text where the calling thread is: its children are in its namespace. */

import { spawnSync } from 'node:child_process';
import { PosternError } from '../../errors.js';

const TIMEOUT_MS = 60_000;
/** Of nft's complaints; one line of it is told. */
const MAX_OUTPUT_BYTES = 1 << 20;

/**
 * Puts the text in place of everything that is loaded in this thread's namespace.
 * @throws PosternError `kernel` with nft's words, `system` when nft can't be run.
 */
export function loadText(text: string): void {
  const { status, stderr, error } = spawnSync('nft', ['-f', '-'], {
    input: `flush ruleset\n${text}`,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  if (error !== undefined) throw notRun(error);
  if (status === 0) return;
  const complaint = /^(?:\/dev\/stdin|-):(\d+):\d+-\d+: Error: (.*)$/m.exec(stderr);
  // The first line is ours.
  const line = complaint === null ? undefined : text.split('\n')[Number(complaint[1]) - 2]?.trim();
  const reason = complaint?.[2] ?? (stderr.trim().split('\n')[0] || `status ${status}`);
  if (/Message too long/.test(stderr)) {
    // nft asks for a larger send buffer in a way that is root's alone.
    throw new PosternError('unsupported', 'this ruleset is too large to be loaded without root (Message too long)');
  }
  throw new PosternError('kernel', `the kernel refuses${line === undefined ? '' : ` \`${line}\``}: ${reason}`);
}

function notRun(error: Error & { code?: string }): PosternError {
  if (error.code === 'ENOENT') {
    return new PosternError('system', 'The command nft is missing; install it: apt-get install nftables', {
      cause: error,
    });
  }
  return new PosternError('system', `nft can't be run: ${error.message}`, { cause: error });
}
