#!/usr/bin/env node
/** The entry of `postern`, `iptaccount` and `pftabled-client`. */

import { basename } from 'node:path';
import { programs } from './commands.js';
import { run } from './dispatch.js';
import { processIo } from './io.js';

const called = basename(process.argv[1] ?? 'postern');
// What was written is with the kernel already: pipes and files are written synchronously on Linux.
process.exit(await run([...(programs[called] ?? []), ...process.argv.slice(2)], processIo()));
