/** `postern iptaccount`, also called `iptaccount`: the program of xtables-addons over the daemon's accounts. */

import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../errors.js';
import { askReading, parseReading, type Reading } from './account-reading.js';
import { type Daemon, daemonOf } from './client.js';
import type { RawCommand } from './command.js';
import { type AccountKernel, type AccountLine, iptaccount as program } from './iptaccount-program.js';

export const iptaccount: RawCommand = {
  summary: 'print accounts as iptaccount of xtables-addons does: [-u] [-h] [-a] [-f] [-c] [-s] [-l NAME]',
  raw: (argv, io) =>
    program(argv, kernelOf(daemonOf({ values: {}, io })), {
      out: (text) => io.out(text),
      err: (text) => io.err(text),
      nextSecond: secondsUntilInterrupt(),
    }),
};

/** The daemon in the place of the kernel module. It hands out no handles, so none is ever in use. */
function kernelOf(daemon: Daemon): AccountKernel {
  let names: readonly string[] = [];
  return {
    async open() {
      const { accounts } = await daemon.ask<{ accounts: readonly { readonly name: string }[] }>('GET', '/v1/accounts');
      names = accounts.map(({ name }) => name);
    },
    handleUsage: async () => 0,
    async freeHandles() {},
    names: async () => names,
    async read(name, flush) {
      try {
        return parseReading(await askReading(daemon, name, flush)).rows.map(lineOf);
      } catch (error) {
        if (error instanceof PosternError && error.code === 'not-found') return undefined;
        throw error;
      }
    },
  };
}

function lineOf({ address, source, destination }: Reading['rows'][number]): AccountLine {
  return {
    ip: address,
    sourcePackets: source.packets,
    sourceBytes: source.bytes,
    destinationPackets: destination.packets,
    destinationBytes: destination.bytes,
  };
}

/** Ctrl+C ends the loop, not the program: it still says that it has finished. */
function secondsUntilInterrupt(): () => Promise<boolean> {
  let interrupt: AbortController | undefined;
  return async () => {
    if (interrupt === undefined) {
      const controller = new AbortController();
      process.once('SIGINT', () => controller.abort());
      interrupt = controller;
    }
    return setTimeout(1000, true, { signal: interrupt.signal }).catch(() => false);
  };
}
