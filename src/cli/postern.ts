#!/usr/bin/env node
/** The entry of `postern`, `iptaccount` and `pftabled-client`: bundled with the commands that only ask the daemon. */

import { basename } from 'node:path';
import { daemonCommands } from './daemon-commands.js';
import { run } from './dispatch.js';
import { processIo } from './io.js';

const called = basename(process.argv[1] ?? 'postern');
const argv = process.argv.slice(2);
const command = called === 'iptaccount' ? called : (argv[0] ?? '');

if (Object.hasOwn(daemonCommands, command)) {
  const own = called === 'iptaccount' ? [called] : [];
  void run([...own, ...argv], processIo(), daemonCommands).then((status) => process.exit(status));
} else {
  void import('./main.js').then(({ main }) => main(called, argv));
}
