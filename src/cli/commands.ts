/**
 * The table of commands: what `postern help` lists, and the file that each one is in.
 * A new command is one entry here and one file, loaded only when it is called.
 */

import type { AnyCommand } from './command.js';

export const topics = ['Policy', 'Daemon', 'Tables and accounts', 'Compatible programs', 'Other'] as const;

export interface CommandEntry {
  readonly topic: (typeof topics)[number];
  readonly summary: string;
  load(): Promise<AnyCommand>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  pftabled: {
    topic: 'Compatible programs',
    summary: 'send requests to a pftabled server, as pftabled-client does',
    load: async () => (await import('./pftabled.js')).pftabled,
  },
  version: {
    topic: 'Other',
    summary: 'print the version',
    load: async () => (await import('./version.js')).version,
  },
};

/** Names under which the program answers as one of its commands, as xtables-addons and pftabled call them. */
export const programs: Readonly<Record<string, readonly string[]>> = {
  iptaccount: ['iptaccount'],
  'pftabled-client': ['pftabled', 'send'],
};
