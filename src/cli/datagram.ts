/** What clients of knocks and SYSRQ do on the network. */

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '../errors.js';

export interface Target {
  /** As text, without a scope. */
  readonly address: string;
  readonly family: 4 | 6;
  /** The address to send from. */
  readonly source?: string;
}

/** @throws PosternError `not-found` when the name has no address of the family. */
export async function targetOf(
  host: string,
  { family, source }: { readonly family?: 4 | 6; readonly source?: string } = {},
): Promise<Target> {
  const own = source === undefined ? family : source.includes(':') ? 6 : 4;
  const found = await lookup(host, own === undefined ? {} : { family: own }).catch(() => undefined);
  if (found === undefined || (own !== undefined && found.family !== own)) {
    throw new PosternError('not-found', `'${host}' has no address${own === undefined ? '' : ` of IPv${own}`}`);
  }
  return { address: found.address, family: found.family as 4 | 6, ...(source !== undefined && { source }) };
}

/**
 * Sends one datagram, made once it is known which address it leaves from.
 * @throws PosternError `system`
 */
export async function withUdp(
  { address, family, source }: Target,
  port: number,
  make: (own: string) => Buffer,
): Promise<void> {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, source, () => {
        socket.connect(port, address, () => {
          socket.send(make(socket.address().address), (error) => (error === null ? resolve() : reject(error)));
        });
      });
    });
  } catch (cause) {
    throw new PosternError('system', `can't send to ${address} port ${port}: ${(cause as Error).message}`, { cause });
  } finally {
    socket.close();
  }
}

/**
 * Sends one datagram and waits for one that answers it; undefined when none came in time.
 * @param read the answer; undefined for a datagram that is none
 * @throws PosternError `system`
 */
export async function askUdp<Answer>(
  { address, family, source }: Target,
  port: number,
  make: () => Buffer,
  read: (bytes: Buffer) => Answer | undefined,
  withinMs: number,
): Promise<Answer | undefined> {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Answer | undefined>((resolve, reject) => {
      timer = setTimeout(() => resolve(undefined), withinMs);
      // What a host or a router on the way says of the datagram is no answer.
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNREFUSED' && error.code !== 'EHOSTUNREACH') reject(error);
      });
      socket.on('message', (bytes) => {
        const answer = read(bytes);
        if (answer !== undefined) resolve(answer);
      });
      socket.bind(0, source, () => {
        socket.connect(port, address, () => {
          socket.send(make(), (error) => error !== null && reject(error));
        });
      });
    });
  } catch (cause) {
    throw new PosternError('system', `can't send to ${address} port ${port}: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/** Sends the first packet of a connection, and gives up soon enough for it not to be sent again. */
export function touchTcp({ address, family, source }: Target, port: number, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, family, ...(source !== undefined && { localAddress: source }) });
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve();
    };
    const timer = setTimeout(end, Math.min(withinMs, 500));
    socket.once('connect', end);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // What a host or a router on the way answers doesn't matter; that nothing could be sent does.
      if (!['EADDRNOTAVAIL', 'EINVAL', 'EPERM', 'EACCES', 'ENETUNREACH'].includes(error.code ?? '')) return end();
      clearTimeout(timer);
      reject(new PosternError('system', `can't knock at ${address} port ${port}: ${error.message}`, { cause: error }));
    });
  });
}

/** A door that is open answers within this, and one that isn't says nothing. */
const tryMs = 250;
const betweenMs = 50;

/**
 * Whether `host:port` takes connections, or doesn't, as `wanted`, within the time; answers how it was at last.
 * @param again is done before each further try
 */
export async function connects(
  endpoint: string,
  withinMs: number,
  wanted: boolean,
  again?: () => Promise<void>,
): Promise<boolean> {
  const [, host = '', port = ''] = /^\[?([^\]]+?)\]?:([0-9]+)$/.exec(endpoint) ?? [];
  if (host === '' || Number(port) > 65_535) throw new PosternError('usage', `'${endpoint}' is not HOST:PORT`);
  const deadline = performance.now() + withinMs;
  for (;;) {
    const takes = await connectsOnce(host, Number(port), tryMs);
    if (takes === wanted || performance.now() > deadline) return takes;
    await again?.();
    await sleep(betweenMs);
  }
}

function connectsOnce(host: string, port: number, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (takes: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(takes);
    };
    const timer = setTimeout(() => end(false), withinMs);
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
