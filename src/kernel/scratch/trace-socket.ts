/** What nf_tables tells of traced packets in the thread's namespace, as it comes. */

import { TRACE_GROUP } from '../../wire/nftrace.js';
import { DatagramBatch } from '../datagram-batch.js';
import { CallError, ERRNO, MSG } from '../layouts.js';
import { type NlSocket, openNlSocket } from '../nl-socket.js';

/** One event takes some 1,300 bytes of it; it is emptied after every packet. */
const RECEIVE_BUFFER_BYTES = 32 << 20;
/** The events of nearly every packet fit in one call. */
const SLOTS = 64;
/** An event with names of the longest kind (255 bytes for a table, a chain and a jump's target) is shorter. */
const SLOT_BYTES = 1_536;

export class TraceSocket {
  readonly #socket: NlSocket = openNlSocket({
    protocol: 'NETFILTER',
    groups: [TRACE_GROUP],
    silentOverflow: true,
    receiveBufferBytes: RECEIVE_BUFFER_BYTES,
  });
  readonly #batch = new DatagramBatch({ slots: SLOTS, slotBytes: SLOT_BYTES });
  #collected = Buffer.allocUnsafeSlow(SLOTS * SLOT_BYTES);
  #dropped = 0;

  /** The datagrams since the last time, behind each other. nf_tables writes them before it goes on with the packet. */
  take(): Uint8Array {
    let bytes = 0;
    for (;;) {
      const count = this.#batch.receive(this.#socket.fd, MSG.TRUNC);
      for (let index = 0; index < count; index++) bytes = this.#collect(index, bytes);
      if (count < SLOTS) return new Uint8Array(this.#collected.subarray(0, bytes));
    }
  }

  /** How many events were lost since the last time. */
  lost(): number {
    const dropped = this.#socket.dropped();
    const more = dropped - this.#dropped;
    this.#dropped = dropped;
    return more;
  }

  close(): void {
    this.#socket.close();
  }

  #collect(index: number, at: number): number {
    if (this.#batch.length(index) > SLOT_BYTES) throw new CallError('recvmmsg', ERRNO.EMSGSIZE);
    const datagram = this.#batch.datagram(index);
    const end = at + datagram.length;
    if (end > this.#collected.length) this.#collected = Buffer.concat([this.#collected], 2 * this.#collected.length);
    this.#collected.set(datagram, at);
    return end;
  }
}
