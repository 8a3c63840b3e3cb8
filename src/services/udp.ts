/** A UDP socket to listen on. */

import { createSocket, type RemoteInfo } from 'node:dgram';
import { PosternError } from '../errors.js';
import { type Address, formatAddress } from '../net/address.js';

/** What the kernel may hold for us while we are busy: some 10,000 small datagrams. It grants what its limits allow. */
const receiveBufferBytes = 8 * 1024 * 1024;

export interface UdpListener {
  /** The port that was given, or found when it was 0. */
  readonly port: number;
  close(): Promise<void>;
}

export interface UdpReader {
  datagram(bytes: Buffer, peer: string): void;
  /** The socket reported an error; it goes on. */
  trouble(error: Error): void;
}

/**
 * Binds and reads until closed. `::` takes IPv4 too; such peers are told by their IPv4 address.
 * @throws PosternError `system` when the address can't be bound.
 */
export function listenUdp(address: Address, port: number, reader: UdpReader): Promise<UdpListener> {
  const socket = createSocket({ type: address.family === 4 ? 'udp4' : 'udp6' });
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      socket.close();
      const where = formatEndpoint(address, port);
      reject(new PosternError('system', `can't listen on UDP ${where}: ${error.message}`, { cause: error }));
    };
    socket.once('error', failed);
    socket.bind(port, formatAddress(address), () => {
      socket.off('error', failed);
      socket.on('error', (error) => reader.trouble(error));
      socket.on('message', (bytes, from) => reader.datagram(bytes, peerText(from)));
      growReceiveBuffer(() => socket.setRecvBufferSize(receiveBufferBytes), reader);
      resolve({
        port: socket.address().port,
        close: () => new Promise((closed) => socket.close(() => closed())),
      });
    });
  });
}

/** `192.0.2.1:56789`, `[2001:db8::1]:56789`. */
export function formatEndpoint(address: Address, port: number): string {
  const text = formatAddress(address);
  return address.family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

function peerText(from: RemoteInfo): string {
  return from.address.startsWith('::ffff:') ? from.address.slice(7) : from.address;
}

function growReceiveBuffer(grow: () => void, reader: UdpReader): void {
  try {
    grow();
  } catch (error) {
    reader.trouble(error as Error);
  }
}
