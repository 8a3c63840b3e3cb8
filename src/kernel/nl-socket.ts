/**
 * Netlink sockets over the C library. An overflow is an answer (ENOBUFS), not the end of the process; every option can
 * be set; send and receive take under a microsecond beyond the kernel's own work.
 */

import { PosternError } from '../errors.js';
import {
  AF,
  assertLayouts,
  CallError,
  ERRNO,
  fixedBuffer,
  lastErrno,
  libc,
  MEMINFO,
  MSG,
  NETLINK_OPTION,
  NETLINK_PROTOCOL,
  SO,
  SOCK,
  SOCKADDR_NL,
  SOL,
} from './layouts.js';
import { inNamespace } from './netns.js';

export interface NlSocket {
  readonly fd: number;
  /** @throws CallError */
  send(message: Uint8Array): void;
  /**
   * Bytes of the next datagram, or -1 when none is waiting.
   * @throws CallError ENOBUFS once after datagrams were lost, EMSGSIZE when the datagram is longer than `into`.
   */
  receive(into: Buffer): number;
  /** An integer option. @throws CallError */
  setOption(level: number, name: number, value: number): void;
  join(group: number): void;
  /** Datagrams lost because the receive buffer was full. */
  dropped(): number;
  close(): void;
}

export interface NlSocketOptions {
  readonly protocol: keyof typeof NETLINK_PROTOCOL;
  /** Name of `ip netns`; absent: the thread's own. */
  readonly namespace?: string;
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** Loss shows in sequence gaps anyway: don't report it as ENOBUFS. */
  readonly silentOverflow?: boolean;
  readonly groups?: readonly number[];
}

/**
 * Opens and binds a non-blocking netlink socket with extended acknowledgements.
 * @throws PosternError `not-found` (no such namespace), `system` (not permitted).
 */
export function openNlSocket(options: NlSocketOptions): NlSocket {
  assertLayouts();
  return inNamespace(options.namespace, () => openHere(options));
}

function openHere(options: NlSocketOptions): NlSocket {
  const fd = libc.socket(AF.NETLINK, SOCK.RAW | SOCK.CLOEXEC | SOCK.NONBLOCK, NETLINK_PROTOCOL[options.protocol]);
  if (fd < 0) throw new PosternError('system', `netlink: ${new CallError('socket', lastErrno()).message}`);
  const socket = new LibcNlSocket(fd);
  try {
    socket.configure(options);
    return socket;
  } catch (error) {
    socket.close();
    throw new PosternError('system', `netlink: ${(error as Error).message}`, { cause: error });
  }
}

class LibcNlSocket implements NlSocket {
  readonly #option = fixedBuffer(MEMINFO.BYTES);
  readonly #optionBytes = fixedBuffer(4);
  #closed = false;

  constructor(readonly fd: number) {}

  configure(options: NlSocketOptions): void {
    const address = fixedBuffer(SOCKADDR_NL.BYTES);
    address.writeUInt16LE(AF.NETLINK, SOCKADDR_NL.FAMILY);
    if (libc.bind(this.fd, address, SOCKADDR_NL.BYTES) < 0) throw new CallError('bind', lastErrno());
    this.setOption(SOL.NETLINK, NETLINK_OPTION.EXT_ACK, 1);
    this.setOption(SOL.NETLINK, NETLINK_OPTION.CAP_ACK, 1);
    if (options.silentOverflow) this.setOption(SOL.NETLINK, NETLINK_OPTION.NO_ENOBUFS, 1);
    const { receiveBufferBytes, sendBufferBytes } = options;
    if (receiveBufferBytes !== undefined) this.#forceBuffer(SO.RCVBUFFORCE, SO.RCVBUF, receiveBufferBytes);
    if (sendBufferBytes !== undefined) this.#forceBuffer(SO.SNDBUFFORCE, SO.SNDBUF, sendBufferBytes);
    for (const group of options.groups ?? []) this.join(group);
  }

  send(message: Uint8Array): void {
    const sent = libc.send(this.fd, message, message.length, 0);
    if (sent < 0) throw new CallError('send', lastErrno());
  }

  receive(into: Buffer): number {
    // MSG_TRUNC answers the datagram's whole length, so that a cut one can't pass for a short one.
    const bytes = libc.recv(this.fd, into, into.length, MSG.DONTWAIT | MSG.TRUNC);
    if (bytes >= 0 && bytes <= into.length) return bytes;
    if (bytes > into.length) throw new CallError('recv', ERRNO.EMSGSIZE);
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return -1;
    throw new CallError('recv', errno);
  }

  setOption(level: number, name: number, value: number): void {
    this.#option.writeInt32LE(value, 0);
    if (libc.setsockopt(this.fd, level, name, this.#option, 4) < 0) throw new CallError('setsockopt', lastErrno());
  }

  join(group: number): void {
    this.setOption(SOL.NETLINK, NETLINK_OPTION.ADD_MEMBERSHIP, group);
  }

  dropped(): number {
    this.#optionBytes.writeUInt32LE(MEMINFO.BYTES, 0);
    if (libc.getsockopt(this.fd, SOL.SOCKET, SO.MEMINFO, this.#option, this.#optionBytes) < 0) {
      throw new CallError('getsockopt', lastErrno());
    }
    return this.#option.readUInt32LE(MEMINFO.DROPS);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc.close(this.fd);
  }

  #forceBuffer(force: number, plain: number, bytes: number): void {
    try {
      this.setOption(SOL.SOCKET, force, bytes);
    } catch {
      // Not permitted in a user namespace; the plain option is limited by net.core.[rw]mem_max.
      this.setOption(SOL.SOCKET, plain, bytes);
    }
  }
}
