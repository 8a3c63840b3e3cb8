/** Looks connections up in conntrack, one by one, on a socket of its own: some 10 µs each. */

import { type FlowState, type FlowTuple, readFlowState, turned, writeFlowLookup } from '../wire/conntrack-flows.js';
import { MessageWriter } from '../wire/netlink.js';
import { KernelRefusal } from './exchange.js';
import { openNetfilterSocket, RECEIVE_BYTES, requestNow } from './exchange-now.js';
import { ERRNO, fixedBuffer } from './layouts.js';
import type { NlSocket } from './nl-socket.js';

/** There is no such connection, or none can be of this protocol. */
const unknown: ReadonlySet<number> = new Set([ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.EOPNOTSUPP]);

export class FlowLookup {
  readonly #socket: NlSocket;
  readonly #buffer = fixedBuffer(RECEIVE_BYTES);
  #seq = 0;

  /** @throws PosternError `system` */
  constructor(namespace?: string) {
    this.#socket = openNetfilterSocket(namespace);
  }

  /**
   * The connection of a packet with this tuple, as conntrack has it now. Behind a translation of addresses a packet has
   * the tuple of the answers turned round: both are tried.
   * @throws PosternError `busy`, `kernel`
   */
  find(protocol: number, tuple: FlowTuple): FlowState | undefined {
    const found = this.#ask(protocol, tuple);
    return found ?? (tuple.icmp === undefined ? this.#ask(protocol, turned(tuple)) : undefined);
  }

  close(): void {
    this.#socket.close();
  }

  #ask(protocol: number, tuple: FlowTuple): FlowState | undefined {
    this.#seq = (this.#seq % 0xffff_ffff) + 1;
    const writer = new MessageWriter(256);
    writeFlowLookup(writer, this.#seq, protocol, tuple);
    try {
      const [answer] = requestNow(this.#socket, writer.finish(), this.#buffer);
      return answer && readFlowState(answer.body);
    } catch (error) {
      if (error instanceof KernelRefusal && unknown.has(error.errno)) return undefined;
      throw error;
    }
  }
}
