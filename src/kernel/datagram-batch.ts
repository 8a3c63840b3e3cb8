/** Room for many datagrams, which one call fills: a call for each costs more than all else that is done with a short one. */

import { addressOf, CallError, ERRNO, fixedBuffer, IOVEC, lastErrno, libc, MMSGHDR, MSG, MSGHDR } from './layouts.js';

export interface BatchSize {
  /** Datagrams of one call. */
  readonly slots: number;
  /** Room for each; a multiple of 8. */
  readonly slotBytes: number;
  /** Room for a sender's address; none when absent. */
  readonly nameBytes?: number;
}

export class DatagramBatch {
  /** The senders' addresses, `nameBytes` each. */
  readonly names: Buffer;
  readonly #memory: Buffer;
  readonly #vectors: Buffer;
  readonly #headers: Buffer;

  constructor(readonly size: BatchSize) {
    const { slots, slotBytes, nameBytes = 0 } = size;
    this.names = fixedBuffer(slots * nameBytes);
    this.#memory = fixedBuffer(slots * slotBytes);
    this.#vectors = fixedBuffer(slots * IOVEC.BYTES);
    this.#headers = fixedBuffer(slots * MMSGHDR.BYTES);
    for (let index = 0; index < slots; index++) this.#prepare(index, slotBytes, nameBytes);
  }

  /**
   * Takes what is waiting on a socket; answers how many datagrams it was.
   * @param flags MSG_TRUNC: `length` tells the whole length of one that was cut
   * @throws CallError
   */
  receive(fd: number, flags = 0): number {
    const count = libc.recvmmsg(fd, this.#headers, this.size.slots, MSG.DONTWAIT | flags, null);
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return 0;
    throw new CallError('recvmmsg', errno);
  }

  /** Bytes of a datagram that was received. */
  length(index: number): number {
    return this.#headers.readUInt32LE(index * MMSGHDR.BYTES + MMSGHDR.LENGTH);
  }

  /** A view of a datagram, valid until the next call. */
  datagram(index: number): Buffer {
    const from = index * this.size.slotBytes;
    return this.#memory.subarray(from, from + Math.min(this.length(index), this.size.slotBytes));
  }

  #prepare(index: number, slotBytes: number, nameBytes: number): void {
    const vector = index * IOVEC.BYTES;
    this.#vectors.writeBigUInt64LE(addressOf(this.#memory) + BigInt(index * slotBytes), vector + IOVEC.BASE);
    this.#vectors.writeBigUInt64LE(BigInt(slotBytes), vector + IOVEC.LENGTH);
    const header = index * MMSGHDR.BYTES;
    if (nameBytes > 0) {
      this.#headers.writeBigUInt64LE(addressOf(this.names) + BigInt(index * nameBytes), header + MSGHDR.NAME);
      this.#headers.writeUInt32LE(nameBytes, header + MSGHDR.NAME_LENGTH);
    }
    this.#headers.writeBigUInt64LE(addressOf(this.#vectors) + BigInt(vector), header + MSGHDR.IOV);
    this.#headers.writeBigUInt64LE(1n, header + MSGHDR.IOV_COUNT);
  }
}
