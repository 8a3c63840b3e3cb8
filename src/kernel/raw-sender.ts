/**
 * Sends crafted IP packets, many with one call. Everything that the kernel reads (addresses, vectors, packets) lies in
 * buffers that live as long as the sender.
 */

import { PosternError } from '../errors.js';
import {
  AF,
  addressOf,
  CallError,
  ERRNO,
  fixedBuffer,
  IOVEC,
  IPPROTO_RAW,
  lastErrno,
  libc,
  MMSGHDR,
  MSG,
  MSGHDR,
  SO,
  SOCK,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOL,
} from './layouts.js';
import { inNamespace } from './netns.js';

/** Packets of one call. */
export const SEND_BATCH = 64;
const SLOT_BYTES = 2_048;
const SEND_BUFFER_BYTES = 4 << 20;

const IPV4_DESTINATION = 16;
const IPV6_DESTINATION = 24;

export interface SendCounts {
  sent: number;
  failed: number;
}

/** One family's socket and its batch. */
class Batch {
  readonly fd: number;
  #count = 0;
  readonly #packets: Buffer[] = [];
  /** What stands in the vectors. */
  readonly #lengths = new Uint16Array(SEND_BATCH);
  readonly #addresses: Buffer;
  readonly #vectors: Buffer;
  readonly #headers: Buffer;
  readonly #headersAt: bigint;

  constructor(
    private readonly family: 4 | 6,
    fd: number,
  ) {
    this.fd = fd;
    const layout = family === 4 ? SOCKADDR_IN : SOCKADDR_IN6;
    const memory = fixedBuffer(SEND_BATCH * SLOT_BYTES);
    this.#addresses = fixedBuffer(SEND_BATCH * layout.BYTES);
    this.#vectors = fixedBuffer(SEND_BATCH * IOVEC.BYTES);
    this.#headers = fixedBuffer(SEND_BATCH * MMSGHDR.BYTES);
    this.#headersAt = addressOf(this.#headers);
    const [memoryAt, addressesAt, vectorsAt] = [memory, this.#addresses, this.#vectors].map(addressOf) as [
      bigint,
      bigint,
      bigint,
    ];
    for (let index = 0; index < SEND_BATCH; index++) {
      this.#packets.push(memory.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES));
      this.#addresses.writeUInt16LE(family === 4 ? AF.INET : AF.INET6, index * layout.BYTES + layout.FAMILY);
      this.#vectors.writeBigUInt64LE(memoryAt + BigInt(index * SLOT_BYTES), index * IOVEC.BYTES + IOVEC.BASE);
      const header = index * MMSGHDR.BYTES;
      this.#headers.writeBigUInt64LE(addressesAt + BigInt(index * layout.BYTES), header + MSGHDR.NAME);
      this.#headers.writeUInt32LE(layout.BYTES, header + MSGHDR.NAME_LENGTH);
      this.#headers.writeBigUInt64LE(vectorsAt + BigInt(index * IOVEC.BYTES), header + MSGHDR.IOV);
      this.#headers.writeBigUInt64LE(1n, header + MSGHDR.IOV_COUNT);
    }
  }

  get count(): number {
    return this.#count;
  }

  /** The next packet's buffer. */
  slot(bytes: number): Buffer {
    const index = this.#count++;
    if (this.#lengths[index] !== bytes) {
      this.#lengths[index] = bytes;
      this.#vectors.writeUInt32LE(bytes, index * IOVEC.BYTES + IOVEC.LENGTH);
    }
    return this.#packets[index] as Buffer;
  }

  /** Forgets all but the first `count` packets. */
  cut(count: number): void {
    if (count < this.#count) this.#count = count;
  }

  /** Sends the batch. A packet that the kernel refuses is skipped; when its buffers are full the rest is dropped. */
  flush(counts: SendCounts): void {
    const count = this.#count;
    for (let index = 0; index < count; index++) this.#address(index);
    this.#count = 0;
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
    const packet = this.#packets[index] as Buffer;
    const four = this.family === 4;
    const to = four
      ? index * SOCKADDR_IN.BYTES + SOCKADDR_IN.ADDRESS
      : index * SOCKADDR_IN6.BYTES + SOCKADDR_IN6.ADDRESS;
    const from = four ? IPV4_DESTINATION : IPV6_DESTINATION;
    // Byte by byte: a copy of so few by Buffer makes two views first.
    for (let byte = 0; byte < (four ? 4 : 16); byte++) this.#addresses[to + byte] = packet[from + byte] as number;
  }
}

export class RawSender {
  readonly counts: SendCounts = { sent: 0, failed: 0 };
  readonly #batches: Readonly<Record<4 | 6, Batch>>;

  /** @throws PosternError `system` without CAP_NET_RAW, `not-found` for a namespace that doesn't exist. */
  constructor(namespace?: string) {
    const [four, six] = inNamespace(namespace, () => [openRaw(AF.INET), openRaw(AF.INET6)] as const);
    this.#batches = { 4: new Batch(4, four), 6: new Batch(6, six) };
  }

  /**
   * A buffer (2,048 bytes long, with old contents) for a whole IP packet of `bytes` bytes. It is queued by this: write all
   * of it before the next call.
   */
  slot(family: 4 | 6, bytes: number): Buffer {
    if (bytes > SLOT_BYTES) throw new RangeError(`a packet of ${bytes} bytes`);
    const batch = this.#batches[family];
    if (batch.count === SEND_BATCH) batch.flush(this.counts);
    return batch.slot(bytes);
  }

  /** What is sent from now on has this mark; 0: none. @throws PosternError `system` */
  setMark(mark: number): void {
    this.flush();
    const value = fixedBuffer(4);
    value.writeUInt32LE(mark >>> 0, 0);
    for (const fd of this.fds) {
      if (libc.setsockopt(fd, SOL.SOCKET, SO.MARK, value, 4) < 0) {
        throw new PosternError('system', `raw socket: ${new CallError('setsockopt', lastErrno()).message}`);
      }
    }
  }

  /** Packets that are queued. */
  queued(family: 4 | 6): number {
    return this.#batches[family].count;
  }

  /** Takes back what was queued beyond so many packets and has not left. */
  cut(family: 4 | 6, count: number): void {
    this.#batches[family].cut(count);
  }

  get fds(): readonly number[] {
    return [this.#batches[4].fd, this.#batches[6].fd];
  }

  flush(): void {
    this.#batches[4].flush(this.counts);
    this.#batches[6].flush(this.counts);
  }

  close(): void {
    for (const { fd } of Object.values(this.#batches)) libc.close(fd);
  }
}

/** With IPPROTO_RAW the packet brings its IP header. */
function openRaw(domain: number): number {
  const fd = libc.socket(domain, SOCK.RAW | SOCK.CLOEXEC | SOCK.NONBLOCK, IPPROTO_RAW);
  if (fd < 0) {
    throw new PosternError('system', `raw socket: ${new CallError('socket', lastErrno()).message}; needs CAP_NET_RAW`);
  }
  const bytes = fixedBuffer(4);
  bytes.writeInt32LE(SEND_BUFFER_BYTES, 0);
  if (libc.setsockopt(fd, SOL.SOCKET, SO.SNDBUFFORCE, bytes, 4) < 0) {
    libc.setsockopt(fd, SOL.SOCKET, SO.SNDBUF, bytes, 4);
  }
  return fd;
}
