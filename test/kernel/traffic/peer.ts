/**
 * A host of the traffic tests, run in a namespace: serves, connects, sends datagrams when told. One JSON request a line
 * on standard input, one JSON answer a line on standard output, with the request's id.
 *
 * Its servers answer with the addresses that they see, `PEER PORT LOCAL PORT`, so that a client knows who it was to them.
 */

import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** How an attempt ended: as the sockets of the host saw it. */
export type Result = 'ok' | 'refused' | 'timeout' | 'unreachable' | 'denied' | 'closed';

export type PeerRequest =
  | { readonly op: 'serve'; readonly protocol: 'tcp' | 'udp'; readonly port: number }
  | {
      readonly op: 'connect';
      readonly to: string;
      readonly port: number;
      readonly from?: string;
      readonly withinMs: number;
      /** The connection stays open under this name. */
      readonly hold?: string;
    }
  | {
      readonly op: 'ask';
      readonly to: string;
      readonly port: number;
      readonly from?: string;
      readonly fromPort?: number;
      readonly withinMs: number;
    }
  /** Sends bytes over a held connection and waits until all of them were received (the server sends their count). */
  | { readonly op: 'upload'; readonly name: string; readonly bytes: number; readonly withinMs: number }
  | { readonly op: 'close'; readonly name: string };

export interface PeerAnswer {
  readonly result: Result;
  /** What the server said: `PEER PORT LOCAL PORT`. */
  readonly text?: string;
}

const held = new Map<string, Socket>();
/** Bytes that were sent over each, as its server counts them. */
const sent = new WeakMap<Socket, number>();

function resultOf({ code }: NodeJS.ErrnoException): Result {
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'EPERM' || code === 'EACCES') return 'denied';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'unreachable';
  return code === 'ETIMEDOUT' ? 'timeout' : 'closed';
}

const bare = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

/** Says who is there, then how many bytes came, in lines. */
function serveTcp(port: number): Promise<PeerAnswer> {
  const server = createServer((socket) => {
    let bytes = 0;
    socket.on('error', () => socket.destroy());
    socket.write(
      `${bare(socket.remoteAddress)} ${socket.remotePort} ${bare(socket.localAddress)} ${socket.localPort}\n`,
    );
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      socket.write(`${bytes}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '::', () => resolve({ result: 'ok' }));
  });
}

async function serveUdp(port: number): Promise<PeerAnswer> {
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' });
    socket.on('message', (_, peer) => socket.send(`${peer.address} ${peer.port} - ${port}`, peer.port, peer.address));
    await new Promise<void>((resolve) => socket.bind(port, resolve));
  }
  return { result: 'ok' };
}

type Connect = Extract<PeerRequest, { op: 'connect' }>;

function connectTo({ to, port, from, withinMs, hold }: Connect): Promise<PeerAnswer> {
  const socket = connect({ host: to, port, ...(from !== undefined && { localAddress: from }) });
  return new Promise((resolve) => {
    const end = (answer: PeerAnswer) => {
      clearTimeout(timer);
      if (answer.result !== 'ok' || hold === undefined) socket.destroy();
      else held.set(hold, socket);
      resolve(answer);
    };
    const timer = setTimeout(() => end({ result: 'timeout' }), withinMs);
    socket.once('data', (data) => end({ result: 'ok', text: data.toString().trim() }));
    socket.on('error', (error: NodeJS.ErrnoException) => end({ result: resultOf(error) }));
    socket.once('end', () => end({ result: 'closed' }));
  });
}

type Ask = Extract<PeerRequest, { op: 'ask' }>;

function ask({ to, port, from, fromPort, withinMs }: Ask): Promise<PeerAnswer> {
  const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    const end = (answer: PeerAnswer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ result: 'timeout' }), withinMs);
    socket.on('error', (error) => end({ result: resultOf(error) }));
    socket.on('message', (data) => end({ result: 'ok', text: data.toString() }));
    socket.bind(fromPort ?? 0, from, () => {
      // Only a connected socket hears of ICMP errors.
      socket.connect(port, to, () => socket.send('hello', (error) => error && end({ result: resultOf(error) })));
    });
  });
}

function upload({ name, bytes, withinMs }: Extract<PeerRequest, { op: 'upload' }>): Promise<PeerAnswer> {
  const socket = held.get(name)!;
  const total = (sent.get(socket) ?? 0) + bytes;
  sent.set(socket, total);
  return new Promise((resolve) => {
    const end = (result: Result) => {
      clearTimeout(timer);
      socket.removeAllListeners('data');
      resolve({ result });
    };
    const timer = setTimeout(() => end('timeout'), withinMs);
    socket.on('data', (data) => {
      if (data.toString().trim().split('\n').at(-1) === String(total)) end('ok');
    });
    socket.on('error', () => end('closed'));
    socket.write(Buffer.alloc(bytes, 0x55));
  });
}

async function answer(request: PeerRequest): Promise<PeerAnswer> {
  switch (request.op) {
    case 'serve':
      return request.protocol === 'tcp' ? serveTcp(request.port) : serveUdp(request.port);
    case 'connect':
      return connectTo(request);
    case 'ask':
      return ask(request);
    case 'upload':
      return upload(request);
    case 'close':
      held.get(request.name)?.destroy();
      held.delete(request.name);
      return { result: 'ok' };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...request } = JSON.parse(line) as PeerRequest & { readonly id: number };
  void answer(request as PeerRequest).then((said) => process.stdout.write(`${JSON.stringify({ id, ...said })}\n`));
}
