/**
 * A host in the demo's network: counts the UDP datagrams that reach it and sends some when told.
 * One JSON request a line on standard input, one JSON answer a line on standard output.
 */

import { createSocket, type Socket } from 'node:dgram';
import { createInterface } from 'node:readline';

export type PeerRequest =
  | { readonly op: 'listen'; readonly address: string; readonly port: number }
  | {
      readonly op: 'send';
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly count: number;
      readonly bytes: number;
    }
  /** How many datagrams have come to this address and port, and from the last one's sender. */
  | { readonly op: 'received'; readonly address: string; readonly port: number };

export interface PeerAnswer {
  readonly received?: number;
  readonly error?: string;
}

const received = new Map<string, number>();

function open(address: string): Socket {
  return createSocket(address.includes(':') ? 'udp6' : 'udp4');
}

function listen(address: string, port: number): Promise<PeerAnswer> {
  const socket = open(address);
  const key = `${address} ${port}`;
  received.set(key, 0);
  socket.on('message', () => received.set(key, received.get(key)! + 1));
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => resolve({}));
  });
}

async function send(request: Extract<PeerRequest, { op: 'send' }>): Promise<PeerAnswer> {
  const socket = open(request.to);
  await new Promise<void>((resolve) => socket.bind(0, request.from, resolve));
  const payload = Buffer.alloc(request.bytes, 0x55);
  for (let sent = 0; sent < request.count; sent += 1) {
    await new Promise<void>((resolve, reject) =>
      socket.send(payload, request.port, request.to, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
  return {};
}

async function answer(request: PeerRequest): Promise<PeerAnswer> {
  switch (request.op) {
    case 'listen':
      return listen(request.address, request.port);
    case 'send':
      return send(request);
    case 'received':
      return { received: received.get(`${request.address} ${request.port}`) ?? 0 };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(JSON.parse(line)).catch((error: Error): PeerAnswer => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
