/**
 * Requests to the kernel over netlink and its answers, wherever they are made: on the calling thread
 * (`netfilterExchange`), because big transactions, failed ones and listings block, in a thread of their own
 * (`threadExchange`), or each where it is best (`ShortCut`).
 */

import { PosternError } from '../errors.js';
import type { Acknowledgement, NetlinkMessage } from '../wire/netlink.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import { ERRNO, errnoName } from './layouts.js';

/** What became of a transaction. */
export interface TransactionResult {
  /** Each message that the kernel refused; any refusal means that nothing was changed. Empty: committed. */
  readonly refused: readonly Acknowledgement[];
  /** The generation it made, when the batch asked for it and changed anything. */
  readonly generation?: number;
}

export interface DumpBounds {
  readonly maxDatagrams: number;
  readonly timeoutMs: number;
}

/** Messages are given away: they must not be used afterwards. */
export interface Exchange {
  /**
   * Sends a batch whose last inner message asks for an acknowledgement.
   * @throws PosternError `busy` when the result is unknown (answers were lost): read the state again;
   *   `full` when the batch is larger than the socket's send buffer; `kernel`.
   */
  transact(batch: Buffer): Promise<TransactionResult>;
  /** Sends one message and answers what came back. @throws KernelRefusal */
  request(message: Buffer): Promise<NetlinkMessage[]>;
  /**
   * Sends a dump request and gives each datagram's messages to `take`, which may end the dump by answering false.
   * @throws PosternError `busy` at a bound; KernelRefusal
   */
  dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void>;
  /**
   * Sends a dump request for a set's elements and answers them all, without duplicates.
   * @throws PosternError `busy` at a bound; KernelRefusal
   */
  list(message: Buffer, bounds: DumpBounds, how: ListOptions): Promise<PackedElements>;
  close(): Promise<void>;
}

export interface ListOptions {
  /** Intervals come as start and end elements. */
  readonly pairs: boolean;
  /** The request zeroes what it reads. */
  readonly reset: boolean;
}

/** The kernel said no to a single request. */
export class KernelRefusal extends PosternError {
  constructor(readonly acknowledgement: Acknowledgement) {
    // Also what root gets for a table that another process owns.
    const isUser = acknowledgement.errno === ERRNO.EPERM && process.geteuid?.() !== 0;
    const next = isUser ? '; run this as root (or with CAP_NET_ADMIN)' : '';
    super('kernel', `the kernel refused: ${refusalText(acknowledgement)}${next}`);
  }

  get errno(): number {
    return this.acknowledgement.errno;
  }
}

/** `ENOENT (No such set)`. */
export function refusalText({ errno, reason }: Acknowledgement): string {
  return reason === undefined ? errnoName(errno) : `${errnoName(errno)} (${reason})`;
}
