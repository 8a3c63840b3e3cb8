/** `postern state …`: what the daemon keeps on disk, looked at and carried to other machines. */

import type { CommandGroup } from './command.js';
import { check } from './state/check.js';
import { show } from './state/show.js';
import { exportState, importState } from './state/transfer.js';

export const state: CommandGroup = {
  summary: 'look at what is kept on disk, check it, carry it to another machine',
  about: `Entries that were added, grants, quotas, sequences and the marks of signed messages are kept under the state
folder. These commands read it beside a running daemon.`,
  commands: { show, check, export: exportState, import: importState },
};
