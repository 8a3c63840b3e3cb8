/**
 * Packets for one socket, sent with one call. Everything that the kernel reads (addresses, vectors, packets) lies in
 * buffers that live as long as the batch.
 */

import {
  AF,
  addressOf,
  ERRNO,
  fixedBuffer,
  IOVEC,
  lastErrno,
  libc,
  MMSGHDR,
  MSG,
  MSGHDR,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOCKADDR_LL,
} from './layouts.js';

/** Packets of one call. */
export const SEND_BATCH = 64;
export const SLOT_BYTES = 2_048;

export interface SendCounts {
  sent: number;
  failed: number;
}

/** What goes in front of the packet, and how its destination is written. */
export interface SendForm {
  readonly headerBytes: number;
  readonly addressBytes: number;
  readonly addressFamily: number;
  /** Where an IP header has the destination that the address needs; absent: the address is the caller's. */
  readonly destination?: { readonly from: number; readonly bytes: number; readonly to: number };
}

export const IPV4_FORM: SendForm = {
  headerBytes: 0,
  addressBytes: SOCKADDR_IN.BYTES,
  addressFamily: AF.INET,
  destination: { from: 16, bytes: 4, to: SOCKADDR_IN.ADDRESS },
};
export const IPV6_FORM: SendForm = {
  headerBytes: 0,
  addressBytes: SOCKADDR_IN6.BYTES,
  addressFamily: AF.INET6,
  destination: { from: 24, bytes: 16, to: SOCKADDR_IN6.ADDRESS },
};
export const FRAME_FORM: SendForm = {
  headerBytes: 14,
  addressBytes: SOCKADDR_LL.BYTES,
  addressFamily: AF.PACKET,
};

export class SendBatch {
  #count = 0;
  /** Packets that `takeBack` leaves. */
  #noted = 0;
  /** What stands in the vectors. */
  readonly #lengths = new Uint16Array(SEND_BATCH);
  readonly #packets: DataView[] = [];
  /** SLOT_BYTES of each packet. */
  readonly memory: DataView;
  /** The form's address of each packet. */
  readonly addresses: DataView;
  readonly #vectors = fixedBuffer(SEND_BATCH * IOVEC.BYTES);
  readonly #headers = fixedBuffer(SEND_BATCH * MMSGHDR.BYTES);
  readonly #headersAt = addressOf(this.#headers);

  constructor(
    readonly fd: number,
    private readonly form: SendForm,
  ) {
    const { addressBytes, addressFamily, headerBytes } = form;
    const memory = fixedBuffer(SEND_BATCH * SLOT_BYTES);
    const addresses = fixedBuffer(SEND_BATCH * addressBytes);
    this.memory = viewOf(memory);
    this.addresses = viewOf(addresses);
    const [memoryAt, addressesAt, vectorsAt] = [addressOf(memory), addressOf(addresses), addressOf(this.#vectors)];
    for (let index = 0; index < SEND_BATCH; index++) {
      this.#packets.push(viewOf(memory.subarray(index * SLOT_BYTES + headerBytes, (index + 1) * SLOT_BYTES)));
      addresses.writeUInt16LE(addressFamily, index * addressBytes);
      this.#vectors.writeBigUInt64LE(memoryAt + BigInt(index * SLOT_BYTES), index * IOVEC.BYTES + IOVEC.BASE);
      const header = index * MMSGHDR.BYTES;
      this.#headers.writeBigUInt64LE(addressesAt + BigInt(index * addressBytes), header + MSGHDR.NAME);
      this.#headers.writeUInt32LE(addressBytes, header + MSGHDR.NAME_LENGTH);
      this.#headers.writeBigUInt64LE(vectorsAt + BigInt(index * IOVEC.BYTES), header + MSGHDR.IOV);
      this.#headers.writeBigUInt64LE(1n, header + MSGHDR.IOV_COUNT);
    }
  }

  get count(): number {
    return this.#count;
  }

  /** The next packet's memory: behind the header, when the form has one. */
  slot(bytes: number): DataView {
    const index = this.#count++;
    if (this.#lengths[index] !== bytes) {
      this.#lengths[index] = bytes;
      this.#vectors.writeUInt32LE(this.form.headerBytes + bytes, index * IOVEC.BYTES + IOVEC.LENGTH);
    }
    return this.#packets[index] as DataView;
  }

  /** What is queued from now on can be taken back. */
  note(): void {
    this.#noted = this.#count;
  }

  /** Forgets what was queued since `note` and has not left. */
  takeBack(): void {
    this.#count = this.#noted;
  }

  /** Sends the batch. A packet that the kernel refuses is skipped; when its buffers are full the rest is dropped. */
  flush(counts: SendCounts): void {
    const count = this.#count;
    if (count === 0) return;
    if (this.form.destination !== undefined) for (let index = 0; index < count; index++) this.#address(index);
    this.#count = this.#noted = 0;
    for (let next = 0; next < count; ) {
      const at = this.#headersAt + BigInt(next * MMSGHDR.BYTES);
      const sent = libc.sendmmsg(this.fd, at, count - next, MSG.DONTWAIT);
      if (sent > 0) {
        counts.sent += sent;
        next += sent;
        continue;
      }
      const full = lastErrno() === ERRNO.EAGAIN || lastErrno() === ERRNO.ENOBUFS;
      const dropped = full ? count - next : 1;
      counts.failed += dropped;
      next += dropped;
    }
  }

  /** Where the packet goes stands in its IP header. */
  #address(index: number): void {
    const { destination, addressBytes } = this.form;
    if (destination === undefined) return;
    const to = index * addressBytes + destination.to;
    const from = index * SLOT_BYTES + destination.from;
    for (let offset = 0; offset < destination.bytes; offset += 4) {
      this.addresses.setUint32(to + offset, this.memory.getUint32(from + offset));
    }
  }
}

/** Numbers are read and written by views: methods of Buffer cost several times as much. */
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length);
