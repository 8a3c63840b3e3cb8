/** A UDP socket to listen on. */

import koffi from 'koffi';
import { PosternError } from '../errors.js';
import { CallError } from '../kernel/layouts.js';
import { UDP_BATCH, UdpSocket } from '../kernel/udp-socket.js';
import { type Address, formatAddress } from '../net/address.js';

/** What the kernel may hold for us while we are busy: some 30,000 small datagrams. */
const longQueueBytes = 32 * 1024 * 1024;
/** Calls that take datagrams before the event loop gets its turn: a few milliseconds' work. */
const callsATurn = 4;

export interface UdpListener {
  /** The port that was given, or found when it was 0. */
  readonly port: number;
  close(): Promise<void>;
}

export interface UdpReader {
  /** The bytes are valid during the call. */
  datagram(bytes: Buffer, peer: string): void;
  /** So many datagrams were lost since the last word of it: they came faster than they were read. */
  lost(datagrams: number): void;
  /** The socket reported an error; it goes on. */
  trouble(error: Error): void;
}

/**
 * Binds and reads until closed. `::` takes IPv4 too; such peers are told by their IPv4 address.
 * @throws PosternError `system` when the address can't be bound.
 */
export async function listenUdp(
  address: Address,
  port: number,
  reader: UdpReader,
  receiveBufferBytes = longQueueBytes,
): Promise<UdpListener> {
  const socket = opened(address, port, receiveBufferBytes);
  const turn = readTurns(socket, reader);
  const poll = koffi.node.poll(socket.fd, { readable: true }, turn);
  let closed = false;
  return {
    port: socket.port,
    async close() {
      if (closed) return;
      closed = true;
      poll.stop();
      poll.close();
      socket.close();
    },
  };
}

function opened(address: Address, port: number, receiveBufferBytes: number): UdpSocket {
  try {
    return new UdpSocket(address, port, receiveBufferBytes);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const where = formatEndpoint(address, port);
    throw new PosternError('system', `can't listen on UDP ${where}: ${error.message}`, { cause: error });
  }
}

function readTurns(socket: UdpSocket, reader: UdpReader): () => void {
  const take = (bytes: Buffer, peer: string) => reader.datagram(bytes, peer);
  let known = 0;
  // Nothing may be thrown from here: it would pass through the native callback.
  return () => {
    try {
      // Less than a batch was all that waited.
      for (let call = 0; call < callsATurn && socket.receive(take) === UDP_BATCH; call++);
      // Afterwards: something is lost only while something else is waiting.
      const dropped = socket.dropped();
      // The kernel counts in 32 bits.
      const lost = (dropped - known) >>> 0;
      known = dropped;
      if (lost > 0) reader.lost(lost);
    } catch (error) {
      reader.trouble(error as Error);
    }
  };
}

/** `192.0.2.1:56789`, `[2001:db8::1]:56789`. */
export function formatEndpoint(address: Address, port: number): string {
  const text = formatAddress(address);
  return address.family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}
