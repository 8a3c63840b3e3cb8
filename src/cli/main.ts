/** `postern` with all its commands. */

import { commands, programs } from './commands.js';
import { run } from './dispatch.js';
import { processIo } from './io.js';

/** Runs the command line of a program called by this name, and ends the process. */
export async function main(called: string, argv: readonly string[]): Promise<never> {
  // What was written is with the kernel already: pipes and files are written synchronously on Linux.
  process.exit(await run([...(programs[called] ?? []), ...argv], processIo(), commands));
}
