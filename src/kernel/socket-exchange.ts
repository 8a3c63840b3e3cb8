/** An exchange on the calling thread. */

import type { NetlinkMessage } from '../wire/netlink.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import type { DumpBounds, Exchange, ListOptions, TransactionResult } from './exchange.js';
import {
  dumpEntries,
  dumpNow,
  listNow,
  openNetfilterSocket,
  RECEIVE_BYTES,
  requestNow,
  transactNow,
} from './exchange-now.js';
import { fixedBuffer } from './layouts.js';
import type { NlSocket } from './nl-socket.js';

/** An exchange on the calling thread. `open` makes its socket, and a new one after a dump was broken off. */
export class SocketExchange implements Exchange {
  #socket: NlSocket | undefined;
  readonly #buffer = fixedBuffer(RECEIVE_BYTES);

  constructor(private readonly open: () => NlSocket) {
    this.#socket = open();
  }

  /** Done when the call returns. */
  async transact(batch: Buffer): Promise<TransactionResult> {
    return transactNow(this.#ready(), batch, this.#buffer);
  }

  async request(message: Buffer): Promise<NetlinkMessage[]> {
    return requestNow(this.#ready(), message, this.#buffer);
  }

  async dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void> {
    const seq = message.readUInt32LE(8);
    let finished = false;
    try {
      for (const datagram of dumpNow(this.#ready(), message, bounds, this.#buffer)) {
        if (!take(dumpEntries(datagram, seq))) return;
      }
      finished = true;
    } finally {
      // A dump that is not read to its end stays with the socket and blocks the next one.
      if (!finished) this.#drop();
    }
  }

  async list(message: Buffer, bounds: DumpBounds, how: ListOptions): Promise<PackedElements> {
    try {
      const steps = listNow(this.#ready(), message, bounds, how, this.#buffer);
      for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
    } finally {
      this.#drop();
    }
  }

  async close(): Promise<void> {
    this.#drop();
  }

  #ready(): NlSocket {
    this.#socket ??= this.open();
    return this.#socket;
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** An exchange with nfnetlink of a network namespace, on the calling thread. */
export function netfilterExchange(namespace?: string): SocketExchange {
  return new SocketExchange(() => openNetfilterSocket(namespace));
}
