/**
 * An exchange in a thread of its own (see thread-exchange.ts) with a short cut: small transactions are made on the
 * calling thread. The kernel needs 20 µs for one, 60 µs after a pause; to send it to the other thread and to take the
 * answer costs the calling thread as much, and both wait 100 to 300 µs for each other to wake up.
 *
 * A transaction can take longer: somebody else's holds the kernel's lock, it is refused (the kernel waits then until no
 * processor works with what it takes back), or the set is costly to change. Whatever of that happens, the next ones go
 * to the thread for a while, so that the event loop isn't held up by it again and again. The first time that is short:
 * on a machine that is shared the processor itself may have been gone, which says nothing of the next one.
 */

import type { NetlinkMessage } from '../wire/netlink.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import type { DumpBounds, Exchange, ListOptions, TransactionResult } from './exchange.js';
import type { SocketExchange } from './socket-exchange.js';
import type { ThreadExchange } from './thread-exchange.js';

/** Some twenty elements. With more the kernel's time counts, not the way to it. */
const SMALL_BYTES = 1_024;
const SLOW_MS = 5;
const FIRST_DETOUR_MS = 100;
const LONGEST_DETOUR_MS = 10_000;
/** How much longer than the last detour one is that follows within the longest. */
const GROWTH = 10;

export class ShortCut implements Exchange {
  #detourUntil = Number.NEGATIVE_INFINITY;
  #detourMs = 0;

  /** @param now milliseconds from any start */
  constructor(
    private readonly near: Pick<SocketExchange, 'transact' | 'close'>,
    private readonly thread: Exchange & Pick<ThreadExchange, 'idle'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  transact(batch: Buffer): Promise<TransactionResult> {
    const started = this.now();
    // What the thread has under way would have to be waited for.
    if (batch.length > SMALL_BYTES || !this.thread.idle || started < this.#detourUntil) {
      return this.thread.transact(batch);
    }
    const result = this.near.transact(batch);
    const ended = this.now();
    if (ended - started > SLOW_MS) this.#detour(ended);
    return result;
  }

  #detour(now: number): void {
    const isNews = now - this.#detourUntil > LONGEST_DETOUR_MS;
    this.#detourMs = isNews ? FIRST_DETOUR_MS : Math.min(LONGEST_DETOUR_MS, this.#detourMs * GROWTH);
    this.#detourUntil = now + this.#detourMs;
  }

  request(message: Buffer): Promise<NetlinkMessage[]> {
    return this.thread.request(message);
  }

  dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void> {
    return this.thread.dump(message, bounds, take);
  }

  list(message: Buffer, bounds: DumpBounds, how: ListOptions): Promise<PackedElements> {
    return this.thread.list(message, bounds, how);
  }

  async close(): Promise<void> {
    // Whatever comes later is refused by the thread.
    this.#detourUntil = Number.POSITIVE_INFINITY;
    await this.near.close();
    await this.thread.close();
  }
}
