import { once } from 'node:events';
import type { Io } from './command.js';

/** What a shell reports for a program that SIGPIPE ended. */
const brokenPipeStatus = 128 + 13;

/**
 * The streams of this process. A reader that goes away (`postern table show x | head`) ends the process quietly; when
 * nobody reads what goes wrong there is nobody to tell, and a daemon goes on.
 */
export function processIo(): Io {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? brokenPipeStatus : 1);
  });
  process.stderr.on('error', () => {});
  return {
    get stdin() {
      return process.stdin;
    },
    async out(text) {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain');
    },
    err(text) {
      process.stderr.write(text);
    },
    get screenRows() {
      return process.stdout.rows;
    },
    env: process.env,
  };
}
