/**
 * UDP sockets that take many datagrams with one call. Node's own take one at a time and make objects of each, which is
 * most of the work for a datagram of 64 bytes.
 */

import { type Address, addressFromBytes, formatAddress } from '../net/address.js';
import { DatagramBatch } from './datagram-batch.js';
import {
  assertLayouts,
  CallError,
  fixedBuffer,
  IPV6_V6ONLY,
  lastErrno,
  libc,
  SOCK,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOL,
} from './layouts.js';
import { domainOf, droppedDatagrams, forceReceiveBuffer, setOption, socketName } from './socket-options.js';

/** Datagrams of one call. */
export const UDP_BATCH = 64;
/** Longer datagrams are cut. */
const SLOT_BYTES = 2_048;
/** Where an IPv4 address stands in one that is mapped to IPv6 (RFC 4291 section 2.5.5.2). */
const MAPPED = { PREFIX: Buffer.from('00000000000000000000ffff', 'hex'), BYTES: 12 } as const;

/** The bytes are valid during the call. */
export type TakeDatagram = (bytes: Buffer, peer: string) => void;

export class UdpSocket {
  readonly fd: number;
  readonly port: number;
  readonly #layout: typeof SOCKADDR_IN | typeof SOCKADDR_IN6;
  readonly #batch: DatagramBatch;
  /** Of the datagram before: mostly the next one comes from there, too. */
  #lastPeer = { name: Buffer.alloc(0), text: '' };
  #closed = false;

  /**
   * Opens and binds; port 0: any that is free. `::` takes IPv4 too.
   * @throws CallError
   */
  constructor(address: Address, port: number, receiveBufferBytes: number) {
    assertLayouts();
    this.#layout = address.family === 4 ? SOCKADDR_IN : SOCKADDR_IN6;
    this.#batch = new DatagramBatch({ slots: UDP_BATCH, slotBytes: SLOT_BYTES, nameBytes: this.#layout.BYTES });
    this.fd = libc.socket(domainOf(address.family), SOCK.DGRAM | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
    if (this.fd < 0) throw new CallError('socket', lastErrno());
    try {
      if (address.family === 6) setOption(this.fd, SOL.IPV6, IPV6_V6ONLY, 0);
      forceReceiveBuffer(this.fd, receiveBufferBytes);
      this.port = this.#bind(address, port);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Takes what is waiting, at most a batch; answers how many datagrams it was.
   * @throws CallError
   */
  receive(take: TakeDatagram): number {
    const count = this.#batch.receive(this.fd);
    for (let index = 0; index < count; index++) take(this.#batch.datagram(index), this.#peer(index));
    return count;
  }

  /** Datagrams lost because the receive buffer was full. @throws CallError */
  dropped(): number {
    return droppedDatagrams(this.fd);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc.close(this.fd);
  }

  #bind(address: Address, port: number): number {
    const { BYTES, PORT } = this.#layout;
    const name = socketName(address, port);
    if (libc.bind(this.fd, name, BYTES) < 0) throw new CallError('bind', lastErrno());
    const bytes = fixedBuffer(4);
    bytes.writeUInt32LE(BYTES, 0);
    if (libc.getsockname(this.fd, name, bytes) < 0) throw new CallError('getsockname', lastErrno());
    return name.readUInt16BE(PORT);
  }

  #peer(index: number): string {
    const { BYTES, ADDRESS } = this.#layout;
    const from = index * BYTES + ADDRESS;
    const to = from + (BYTES === SOCKADDR_IN.BYTES ? 4 : 16);
    const last = this.#lastPeer.name;
    const { names } = this.#batch;
    if (last.length > 0 && names.compare(last, 0, last.length, from, to) === 0) return this.#lastPeer.text;
    const name = Buffer.from(names.subarray(from, to));
    this.#lastPeer = { name, text: peerText(name) };
    return this.#lastPeer.text;
  }
}

function peerText(name: Buffer): string {
  const isMapped = name.length === 16 && name.subarray(0, MAPPED.BYTES).equals(MAPPED.PREFIX);
  return formatAddress(addressFromBytes(isMapped ? name.subarray(MAPPED.BYTES) : name));
}
