/**
 * The commands that do nothing but ask the daemon, or do so when it runs. They and all that they load are bundled into one file, since finding and
 * linking modules would cost them more time than the question itself: nothing here may load the compiler or the kernel's edges
 * (a scratch host's thread loads its own).
 */

import type { CommandEntry } from './command.js';

export const daemonCommands: Readonly<Record<string, CommandEntry>> = {
  why: {
    topic: 'Policy',
    summary: 'say what becomes of a packet, or what concerns an address, and which line decides',
    load: async () => (await import('./why.js')).why,
  },
  reload: {
    topic: 'Daemon',
    summary: "apply the daemon's policy file as it is now",
    load: async () => (await import('./reload.js')).reload,
  },
  confirm: {
    topic: 'Daemon',
    summary: 'keep the policy that waits to be confirmed',
    load: async () => (await import('./reload.js')).confirm,
  },
  rollback: {
    topic: 'Daemon',
    summary: 'go back to the policy before the one that waits to be confirmed',
    load: async () => (await import('./reload.js')).rollback,
  },
  status: {
    topic: 'Daemon',
    summary: 'show how the daemon stands; status 1 when something of it failed',
    load: async () => (await import('./status.js')).status,
  },
  table: {
    topic: 'Tables and accounts',
    summary: 'look at and change tables',
    load: async () => (await import('./table.js')).table,
  },
  account: {
    topic: 'Tables and accounts',
    summary: 'look at per-IP accounts',
    load: async () => (await import('./account.js')).account,
  },
  quota: {
    topic: 'Tables and accounts',
    summary: 'look at and change quotas',
    load: async () => (await import('./quota.js')).quota,
  },
  condition: {
    topic: 'Tables and accounts',
    summary: 'look at and flip the switches of the policy',
    load: async () => (await import('./condition.js')).condition,
  },
  knock: {
    topic: 'Knocks',
    summary: 'knock at a host; look at and take back what knocks have opened',
    load: async () => (await import('./knock.js')).knock,
  },
  iptaccount: {
    topic: 'Compatible programs',
    summary: 'print accounts as iptaccount of xtables-addons does: [-u] [-h] [-a] [-f] [-c] [-s] [-l NAME]',
    load: async () => (await import('./iptaccount.js')).iptaccount,
  },
};
