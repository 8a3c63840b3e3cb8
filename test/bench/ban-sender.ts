/** A process that bans one address after the other by signed datagrams, and looks for each in the kernel. */

import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../../src/compiler/plan.js';
import { AF, CallError, lastErrno, libc, SOCK } from '../../src/kernel/layouts.js';
import { openNf } from '../../src/kernel/nf.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { socketName } from '../../src/kernel/socket-options.js';
import { parseAddress } from '../../src/net/address.js';
import { encodePftabled, pftabledKey } from '../../src/wire/pftabled.js';

/** What the daemon's key file holds. */
export const banKey = Buffer.alloc(20, 7);

export interface BanSending {
  readonly port: number;
  readonly namespace: string;
  /** Tables, in turn. */
  readonly tables: readonly string[];
  /** Between two bans. */
  readonly pauseMs: number;
  /** Bans whose time doesn't count. */
  readonly warmup: number;
}

export interface BanSender {
  /** Resolves when so many bans were timed. */
  timed(count: number): Promise<void>;
  /** Ends it and answers the milliseconds of each ban, from its sending until the kernel had it. */
  stop(): Promise<readonly number[]>;
}

const self = fileURLToPath(import.meta.url);
const first = 0xc612_0000;
const longestMs = 5_000;

/** Starts sending, in the namespace. */
export async function sendBans(sending: BanSending): Promise<BanSender> {
  const child = fork(self, [JSON.stringify(sending)], inNamespace(sending.namespace));
  let timed = 0;
  let wake = () => {};
  child.on('message', (message) => {
    if (typeof message !== 'number') return;
    timed = message;
    wake();
  });
  await once(child, 'message');
  return {
    async timed(count) {
      while (timed < count) {
        assertRuns(child);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async stop() {
      assertRuns(child);
      child.send('stop');
      for (;;) {
        const [message] = await once(child, 'message');
        if (Array.isArray(message)) return message as number[];
      }
    },
  };
}

/** Options of `fork` that start the child in a network namespace. */
export function inNamespace(name: string): ForkOptions {
  return { execPath: 'nsenter', execArgv: [`--net=/run/netns/${name}`, '--', process.execPath] };
}

function assertRuns(child: ChildProcess): void {
  if (child.exitCode !== null) throw new Error('the sender of bans ended early');
}

async function run({ port, namespace, tables, pauseMs, warmup }: BanSending): Promise<void> {
  const nf = openNf(netfilterExchange(namespace), { destroy: true, updateTimeout: true, resetElements: true });
  nf.adopt({
    tables: [{ family: 'inet', name: 'postern' }],
    sets: tables.map((table) => ({
      ...{ table: 'inet', name: `t_${table}_h4`, key: ['ipv4_addr'] },
      ...{ interval: false, timeout: true, size: 500_000 },
    })),
    objects: [],
  } as unknown as Manifest);
  const key = pftabledKey(banKey);
  const fd = libc.socket(AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  const name = socketName(parseAddress('127.0.0.1'), port);
  const times: number[] = [];
  let stopped = false;
  process.on('message', () => {
    stopped = true;
  });
  for (let index = 0; !stopped; index++) {
    const address = first + index;
    const set = index % tables.length;
    const timestamp = Math.floor(Date.now() / 1000);
    const request = encodePftabled(
      { version: 2, command: 1, mask: 32, address, table: tables[set] as string, timestamp },
      key,
    );
    const bytes = Uint8Array.of(address >>> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
    const start = performance.now();
    // It has left when the call returns; Node's own sockets send later, behind the first look into the kernel.
    if (libc.sendto(fd, request, request.length, 0, name, name.length) < 0) throw new CallError('sendto', lastErrno());
    // Without sleeping longer than a fraction of a millisecond, and without taking a core from those who are measured.
    while ((await nf.get(set, { key: bytes })) === undefined) {
      if (performance.now() - start > longestMs)
        throw new Error(`ban ${index} of ${tables[set]} was not in the kernel after ${longestMs} ms`);
      await nap();
    }
    if (index >= warmup) times.push(performance.now() - start);
    if (index === 0 || times.length % 50 === 0) process.send?.(times.length);
    await setTimeout(pauseMs);
  }
  libc.close(fd);
  process.send?.(times);
  process.disconnect();
}

const napping = new Int32Array(new SharedArrayBuffer(4));

async function nap(): Promise<void> {
  Atomics.wait(napping, 0, 0, 0.1);
  await new Promise(setImmediate);
}

if (process.argv[1] === self) await run(JSON.parse(process.argv[2] ?? '') as BanSending);
