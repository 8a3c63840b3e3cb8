/**
 * Sends crafted IP packets, many with one call: by the routes of the host, or back on the way that a packet came (the
 * device, and the neighbour who brought it), which spares the kernel the look for a route and the rules of output.
 */

import { PosternError } from '../errors.js';
import { ETHERTYPE } from '../wire/ethernet.js';
import { AF, CallError, fixedBuffer, IPPROTO_RAW, lastErrno, libc, SO, SOCK, SOCKADDR_LL, SOL } from './layouts.js';
import { inNamespace } from './netns.js';
import { FRAME_FORM, IPV4_FORM, IPV6_FORM, SEND_BATCH, SendBatch, type SendCounts, SLOT_BYTES } from './send-batch.js';

export { SEND_BATCH, type SendCounts } from './send-batch.js';

const SEND_BUFFER_BYTES = 4 << 20;

/** Of a packet that came by an Ethernet device: where its frame's header lies. */
export interface Arrival {
  readonly inDevice: number;
  readonly view: DataView;
  /** 0: it has none. */
  readonly frameFrom: number;
}

export class RawSender {
  readonly counts: SendCounts = { sent: 0, failed: 0 };
  // Not a record by way: a look into one for each packet is a call out of compiled code.
  readonly #four: SendBatch;
  readonly #six: SendBatch;
  readonly #back: SendBatch;
  readonly #batches: readonly SendBatch[];

  /** @throws PosternError `system` without CAP_NET_RAW, `not-found` for a namespace that doesn't exist. */
  constructor(namespace?: string) {
    const [four, six, back] = inNamespace(
      namespace,
      () => [openRaw(AF.INET, IPPROTO_RAW), openRaw(AF.INET6, IPPROTO_RAW), openRaw(AF.PACKET, 0)] as const,
    );
    this.#four = new SendBatch(four, IPV4_FORM);
    this.#six = new SendBatch(six, IPV6_FORM);
    this.#back = new SendBatch(back, FRAME_FORM);
    this.#batches = [this.#four, this.#six, this.#back];
  }

  /**
   * Memory (some 2,000 bytes, with old contents) for a whole IP packet of `bytes` bytes. It is queued by this: write all
   * of it before the next call.
   */
  slot(family: 4 | 6, bytes: number): DataView {
    return this.#next(family === 4 ? this.#four : this.#six, bytes);
  }

  /** Queues a copy of a whole IP packet. */
  queue(packet: Uint8Array): void {
    const { buffer, byteOffset } = this.slot(packet[0]! >> 4 === 6 ? 6 : 4, packet.length);
    new Uint8Array(buffer, byteOffset).set(packet);
  }

  /** As `slot`, for an answer to a packet with `frameFrom`: in a frame by the device and to the neighbour it came by. */
  slotBack(family: 4 | 6, bytes: number, { inDevice, view, frameFrom }: Arrival): DataView {
    const packet = this.#next(this.#back, bytes);
    const { memory, addresses, count } = this.#back;
    const at = (count - 1) * SLOT_BYTES;
    const address = (count - 1) * SOCKADDR_LL.BYTES;
    const type = family === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6;
    memory.setUint32(at, view.getUint32(frameFrom + 6));
    memory.setUint16(at + 4, view.getUint16(frameFrom + 10));
    memory.setUint32(at + 6, view.getUint32(frameFrom));
    memory.setUint16(at + 10, view.getUint16(frameFrom + 4));
    memory.setUint16(at + 12, type);
    addresses.setUint16(address + SOCKADDR_LL.PROTOCOL, type);
    addresses.setInt32(address + SOCKADDR_LL.INDEX, inDevice, true);
    return packet;
  }

  #next(batch: SendBatch, bytes: number): DataView {
    if (bytes > SLOT_BYTES - FRAME_FORM.headerBytes) throw new RangeError(`a packet of ${bytes} bytes`);
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

  /** What is queued from now on can be taken back. */
  note(): void {
    this.#four.note();
    this.#six.note();
    this.#back.note();
  }

  /** Forgets what was queued since `note` and has not left. */
  takeBack(): void {
    for (const batch of this.#batches) batch.takeBack();
  }

  get fds(): readonly number[] {
    return this.#batches.map(({ fd }) => fd);
  }

  flush(): void {
    for (const batch of this.#batches) batch.flush(this.counts);
  }

  close(): void {
    for (const fd of this.fds) libc.close(fd);
  }
}

/** With IPPROTO_RAW an IP packet brings its header; a packet socket of protocol 0 receives nothing. */
function openRaw(domain: number, protocol: number): number {
  const fd = libc.socket(domain, SOCK.RAW | SOCK.CLOEXEC | SOCK.NONBLOCK, protocol);
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
