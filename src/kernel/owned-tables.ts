/**
 * Tables that live as long as this process: `nft -i` holds them by the flag `owner`, and the kernel takes them away with
 * its socket. When this process ends, however it ends, that nft reads the end of its input and ends, too. Linux 5.12.
 */

import { spawn } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../errors.js';

export interface OwnedTables {
  /** Resolves with the reason when nft has ended by itself; the tables are gone then. */
  readonly ended: Promise<PosternError>;
  /** They are gone when this resolves. */
  close(): Promise<void>;
}

export interface OwnedTablesOptions {
  /** Each is one table, in one line, with `flags owner`. */
  readonly lines: readonly string[];
  readonly netns?: string;
  /** Are all of them there? */
  isThere(): boolean;
}

const TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** @throws PosternError `unsupported` or `forbidden` with nft's words, `system` when it can't be run. */
export async function holdTables({ lines, netns, isThere }: OwnedTablesOptions): Promise<OwnedTables> {
  const [file, ...args] = [...(netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`, '--']), 'nft', '-i'];
  const child = spawn(file!, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  let complaint = '';
  child.stderr.on('data', (piece: Buffer) => {
    complaint += piece.toString('utf8').slice(0, 4096 - complaint.length);
  });
  child.stdin.on('error', () => {});
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status) => resolve(complaint.trim() || `status ${status}`));
  });
  const ended = exited.then((why) => new PosternError('system', `nft, which holds the table, has ended: ${why}`));
  const close = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  child.stdin.write(`${lines.join('\n')}\n`);
  const deadline = Date.now() + TIMEOUT_MS;
  const isOver = Promise.race([exited, setTimeout(TIMEOUT_MS, undefined, { ref: false })]);
  let over = false;
  void isOver.then(() => {
    over = true;
  });
  while (!isThere()) {
    if (over || complaint !== '' || Date.now() > deadline) {
      child.kill();
      throw refusal((await exited).split('\n')[0] ?? '');
    }
    await setTimeout(POLL_MS);
  }
  return { ended, close };
}

function refusal(why: string): PosternError {
  if (/Operation not permitted/.test(why)) {
    return new PosternError('forbidden', `only root may trace packets (${why}): run this as root`);
  }
  return new PosternError('unsupported', `packets can't be traced here (${why}); it needs nft and Linux 5.12 or later`);
}
