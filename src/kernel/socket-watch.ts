/** Reads an event socket from the event loop: a bounded part in each turn, and a word when events were lost. */

import koffi from 'koffi';
import { asPosternError } from '../errors.js';
import { fixedBuffer } from './layouts.js';
import { type NlSocket, type NlSocketOptions, openNlSocket } from './nl-socket.js';

export interface DatagramReader {
  /** The bytes are valid during the call. What it throws counts as a loss. */
  datagram(bytes: Buffer): void;
  /** Datagrams were lost, or could not be read. */
  lost(reason: string): void;
  /** Nothing more is waiting for now. */
  rest?(): void;
}

export interface SocketWatch {
  /** Times that something was lost. */
  readonly losses: number;
  join(group: number): void;
  /** What is waiting already is still read. */
  leave(group: number): void;
  close(): void;
}

/** Longest datagram of an event socket. */
const DATAGRAM_BYTES = 65_536;
/** Datagrams read before the event loop gets its turn: about a millisecond's work. */
const DATAGRAMS_A_TURN = 64;

/**
 * Opens a socket and watches it. It doesn't keep the process alive.
 * @throws PosternError `not-found` (no such namespace), `system` (not permitted).
 */
export function watchSocket(options: NlSocketOptions, reader: DatagramReader): SocketWatch {
  // An error on the socket would end the event loop's watch over it; the count of drops tells the same.
  return new Watch(openNlSocket({ ...options, silentOverflow: true }), reader);
}

class Watch implements SocketWatch {
  losses = 0;
  readonly #buffer = fixedBuffer(DATAGRAM_BYTES);
  readonly #poll: ReturnType<typeof koffi.node.poll>;
  #dropped = 0;
  #closed = false;

  constructor(
    private readonly socket: NlSocket,
    private readonly reader: DatagramReader,
  ) {
    this.#poll = koffi.node.poll(socket.fd, { readable: true }, () => this.#turn());
    this.#poll.unref();
  }

  join(group: number): void {
    if (!this.#closed) this.socket.join(group);
  }

  leave(group: number): void {
    if (!this.#closed) this.socket.leave(group);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.stop();
    this.#poll.close();
    this.socket.close();
  }

  /** Nothing may be thrown from here: it would pass through the native callback. */
  #turn(): void {
    try {
      if (this.#closed) return;
      for (let datagrams = 0; datagrams < DATAGRAMS_A_TURN && !this.#closed; datagrams++) {
        const bytes = this.socket.receive(this.#buffer);
        if (bytes < 0) break;
        this.reader.datagram(this.#buffer.subarray(0, bytes));
      }
      // Afterwards: something is lost only while something else is waiting.
      this.#checkLoss();
      this.reader.rest?.();
    } catch (error) {
      this.#lost(asPosternError(error).message);
    }
  }

  #checkLoss(): void {
    if (this.#closed) return;
    const dropped = this.socket.dropped();
    if (dropped === this.#dropped) return;
    this.#dropped = dropped;
    this.#lost('netlink events were lost: the receive buffer was full');
  }

  #lost(reason: string): void {
    this.losses++;
    queueMicrotask(() => {
      if (!this.#closed) this.reader.lost(reason);
    });
  }
}
