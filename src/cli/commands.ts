/**
 * The table of commands: what `postern help` lists, in this order, and the file that each one is in.
 * A new command is one entry here and one file, loaded only when it is called.
 */

import type { CommandEntry } from './command.js';
import { daemonCommands } from './daemon-commands.js';

export const commands: Readonly<Record<string, CommandEntry>> = {
  check: {
    topic: 'Policy',
    summary: 'check a policy, and let the kernel check what it compiles to',
    load: async () => (await import('./check.js')).check,
  },
  compile: {
    topic: 'Policy',
    summary: 'print what a policy compiles to, as nft text',
    load: async () => (await import('./compile.js')).compile,
  },
  schema: {
    topic: 'Policy',
    summary: 'print the JSON Schema of policies, for editors',
    load: async () => (await import('./schema.js')).schema,
  },
  plan: {
    topic: 'Policy',
    summary: 'show what applying a policy would change',
    load: async () => (await import('./plan.js')).plan,
  },
  apply: {
    topic: 'Policy',
    summary: 'apply a policy',
    load: async () => (await import('./apply.js')).apply,
  },
  show: {
    topic: 'Policy',
    summary: 'show what is in the kernel',
    load: async () => (await import('./show.js')).show,
  },
  down: {
    topic: 'Policy',
    summary: 'remove everything of Postern from the kernel',
    load: async () => (await import('./down.js')).down,
  },
  run: {
    topic: 'Daemon',
    summary: 'run the daemon',
    load: async () => (await import('./run.js')).run,
  },
  ...daemonCommands,
  watch: {
    topic: 'Policy',
    summary: 'show what becomes of the packets of an address, as they come',
    load: async () => (await import('./watch.js')).watch,
  },
  test: {
    topic: 'Policy',
    summary: 'test policies: packets through the real kernel, and what must become of them',
    load: async () => (await import('./test.js')).test,
  },
  snapshot: {
    topic: 'Daemon',
    summary: 'write the ruleset in force and its lasting entries as an nft file, for the next boot',
    load: async () => (await import('./snapshot.js')).snapshot,
  },
  state: {
    topic: 'Daemon',
    summary: 'look at what is kept on disk, check it, carry it to another machine',
    load: async () => (await import('./state.js')).state,
  },
  geoip: {
    topic: 'Tables and accounts',
    summary: 'make the country files that geoip rules need, and ask them',
    load: async () => (await import('./geoip.js')).geoip,
  },
  sysrq: {
    topic: 'Knocks',
    summary: 'ask a host for keys of the magic SysRq',
    load: async () => (await import('./sysrq.js')).sysrq,
  },
  pftabled: {
    topic: 'Compatible programs',
    summary: 'send requests to a pftabled server, as pftabled-client does',
    load: async () => (await import('./pftabled.js')).pftabled,
  },
  parity: {
    topic: 'Other',
    summary: 'print how each extension compares with that of xtables-addons or pf',
    load: async () => (await import('./parity.js')).parity,
  },
  doctor: {
    topic: 'Other',
    summary: 'try what this kernel and this nft can do, and say what each lack means',
    load: async () => (await import('./doctor.js')).doctor,
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
