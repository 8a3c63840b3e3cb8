/**
 * Netlink sockets over the C library. An overflow is an answer (ENOBUFS), not the end of the process; every option can
 * be set; send and receive take under a microsecond beyond the kernel's own work.
 */

import { PosternError } from '../errors.js';
import {
  AF,
  addressOf,
  assertLayouts,
  CallError,
  ERRNO,
  fixedBuffer,
  lastErrno,
  libc,
  MSG,
  NETLINK_OPTION,
  NETLINK_PROTOCOL,
  SO,
  SOCK,
  SOCK_FILTER,
  SOCK_FPROG,
  SOCKADDR_NL,
  SOL,
} from './layouts.js';
import { inNamespace } from './netns.js';
import { droppedDatagrams, forceReceiveBuffer, forceSendBuffer, setOption } from './socket-options.js';

export interface NlSocket {
  readonly fd: number;
  /** @throws CallError */
  send(message: Uint8Array): void;
  /**
   * Bytes of the next datagram, or -1 when none is waiting.
   * @throws CallError ENOBUFS once after datagrams were lost, EMSGSIZE when the datagram is longer than `into`.
   */
  receive(into: Buffer): number;
  join(group: number): void;
  leave(group: number): void;
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
  /**
   * `known`: bind to one of the ports by which this process recognises its own messages. `foreign`: don't receive
   * what such sockets caused.
   */
  readonly own?: 'known' | 'foreign';
}

/** Ports that a process uses for itself: 64 behind a base that its process id (at most 2^22) gives. */
const OWN_PORTS = 64;
const OWN_PORTS_BASE = (0x9000_0000 + process.pid * OWN_PORTS) >>> 0;

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
  #closed = false;

  constructor(readonly fd: number) {}

  configure(options: NlSocketOptions): void {
    if (options.own === 'foreign') this.#attachFilter(foreignMessages());
    this.#bind(options.own === 'known');
    setOption(this.fd, SOL.NETLINK, NETLINK_OPTION.EXT_ACK, 1);
    setOption(this.fd, SOL.NETLINK, NETLINK_OPTION.CAP_ACK, 1);
    if (options.silentOverflow) setOption(this.fd, SOL.NETLINK, NETLINK_OPTION.NO_ENOBUFS, 1);
    const { receiveBufferBytes, sendBufferBytes } = options;
    if (receiveBufferBytes !== undefined) forceReceiveBuffer(this.fd, receiveBufferBytes);
    if (sendBufferBytes !== undefined) forceSendBuffer(this.fd, sendBufferBytes);
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

  join(group: number): void {
    setOption(this.fd, SOL.NETLINK, NETLINK_OPTION.ADD_MEMBERSHIP, group);
  }

  leave(group: number): void {
    setOption(this.fd, SOL.NETLINK, NETLINK_OPTION.DROP_MEMBERSHIP, group);
  }

  dropped(): number {
    return droppedDatagrams(this.fd);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc.close(this.fd);
  }

  #bind(known: boolean): void {
    const address = fixedBuffer(SOCKADDR_NL.BYTES);
    address.writeUInt16LE(AF.NETLINK, SOCKADDR_NL.FAMILY);
    for (let next = 0; known && next < OWN_PORTS; next++) {
      address.writeUInt32LE(OWN_PORTS_BASE + next, SOCKADDR_NL.PORT);
      if (libc.bind(this.fd, address, SOCKADDR_NL.BYTES) === 0) return;
      const errno = lastErrno();
      if (errno !== ERRNO.EADDRINUSE) throw new CallError('bind', errno);
    }
    address.writeUInt32LE(0, SOCKADDR_NL.PORT);
    if (libc.bind(this.fd, address, SOCKADDR_NL.BYTES) < 0) throw new CallError('bind', lastErrno());
  }

  #attachFilter(instructions: Buffer): void {
    const program = fixedBuffer(SOCK_FPROG.BYTES);
    program.writeUInt16LE(instructions.length / SOCK_FILTER.BYTES, SOCK_FPROG.LENGTH);
    program.writeBigUInt64LE(addressOf(instructions), SOCK_FPROG.FILTER);
    if (libc.setsockopt(this.fd, SOL.SOCKET, SO.ATTACH_FILTER, program, SOCK_FPROG.BYTES) < 0) {
      throw new CallError('setsockopt', lastErrno());
    }
  }
}

/** Classic BPF (linux/filter.h): where the netlink header has the sender's port, and the instructions. */
const SENDER_PORT_OFFSET = 12;
const BPF = { LOAD_WORD: 0x20, AND: 0x54, JUMP_EQUAL: 0x15, RETURN: 0x06 } as const;
const WHOLE_MESSAGE = 0xffff_ffff;

/** Passes messages whose sender isn't one of our own ports. BPF reads words big-endian, the header is little-endian. */
function foreignMessages(): Buffer {
  const swapped = (value: number) => Buffer.from(Uint32Array.of(value).buffer).readUInt32BE(0);
  const program: readonly (readonly [code: number, ifTrue: number, ifFalse: number, value: number])[] = [
    [BPF.LOAD_WORD, 0, 0, SENDER_PORT_OFFSET],
    [BPF.AND, 0, 0, swapped(~(OWN_PORTS - 1) >>> 0)],
    [BPF.JUMP_EQUAL, 0, 1, swapped(OWN_PORTS_BASE)],
    [BPF.RETURN, 0, 0, 0],
    [BPF.RETURN, 0, 0, WHOLE_MESSAGE],
  ];
  const bytes = fixedBuffer(program.length * SOCK_FILTER.BYTES);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    const at = index * SOCK_FILTER.BYTES;
    bytes.writeUInt16LE(code, at + SOCK_FILTER.CODE);
    bytes.writeUInt8(ifTrue, at + SOCK_FILTER.IF_TRUE);
    bytes.writeUInt8(ifFalse, at + SOCK_FILTER.IF_FALSE);
    bytes.writeUInt32LE(value, at + SOCK_FILTER.VALUE);
  });
  return bytes;
}
