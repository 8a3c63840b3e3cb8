/**
 * A host in the demo's network: counts the UDP datagrams that reach it, serves and opens TCP connections, and sends
 * when told. One JSON request a line on standard input, one JSON answer a line on standard output.
 */

import { createSocket, type Socket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

interface Datagrams {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly count: number;
  /** Of payload. */
  readonly bytes: number;
}

export type PeerRequest =
  /** Counts the datagrams that come to this address and port. */
  | { readonly op: 'count'; readonly address: string; readonly port: number }
  /** Accepts connections and closes them. */
  | { readonly op: 'serve'; readonly address: string; readonly port: number }
  | ({ readonly op: 'send' } & Datagrams)
  | {
      readonly op: 'connect';
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly withinMs: number;
    }
  | { readonly op: 'received'; readonly address: string; readonly port: number };

export interface PeerAnswer {
  readonly received?: number;
  readonly connected?: 'open' | 'refused' | 'no answer';
  readonly error?: string;
}

const received = new Map<string, number>();

function socketFor(address: string): Socket {
  return createSocket(address.includes(':') ? 'udp6' : 'udp4');
}

function count(address: string, port: number): Promise<PeerAnswer> {
  const socket = socketFor(address);
  const key = `${address} ${port}`;
  received.set(key, 0);
  socket.on('message', () => received.set(key, received.get(key)! + 1));
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => resolve({}));
  });
}

function serve(address: string, port: number): Promise<PeerAnswer> {
  const server = createServer((connection) => connection.end());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => resolve({}));
  });
}

async function send({ from, to, port, count: wanted, bytes }: Datagrams): Promise<PeerAnswer> {
  const socket = socketFor(to);
  await new Promise<void>((resolve) => socket.bind(0, from, resolve));
  const payload = Buffer.alloc(bytes, 0x55);
  for (let sent = 0; sent < wanted; sent += 1) {
    await new Promise<void>((resolve, reject) =>
      socket.send(payload, port, to, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
  return {};
}

function open(from: string, to: string, port: number, withinMs: number): Promise<PeerAnswer> {
  const connection = connect({ host: to, port, localAddress: from });
  return new Promise((resolve) => {
    const finish = (connected: PeerAnswer['connected']) => {
      connection.destroy();
      resolve({ connected });
    };
    connection.once('connect', () => finish('open'));
    connection.once('error', (error: NodeJS.ErrnoException) =>
      finish(error.code === 'ECONNREFUSED' ? 'refused' : 'no answer'),
    );
    connection.setTimeout(withinMs, () => finish('no answer'));
  });
}

async function answer(request: PeerRequest): Promise<PeerAnswer> {
  switch (request.op) {
    case 'count':
      return count(request.address, request.port);
    case 'serve':
      return serve(request.address, request.port);
    case 'send':
      return send(request);
    case 'connect':
      return open(request.from, request.to, request.port, request.withinMs);
    case 'received':
      return { received: received.get(`${request.address} ${request.port}`) ?? 0 };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(JSON.parse(line)).catch((error: Error): PeerAnswer => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
