/** A replay window that lives as long as the process: for tests, and for a daemon without a state directory. */

import { PosternError } from '../errors.js';
import type { ReplayWindow, Validity } from '../store/store.js';

/** Bytes of a mark that are kept; two messages that agree in 128 bits of a digest are the same. */
const markBytes = 16;

/**
 * Remembers marks until they expire. The expiry belongs to the message, so a copy is looked for only among the marks of
 * the same expiry, and what has expired goes all at once.
 */
export class MemoryReplayWindow implements ReplayWindow {
  readonly #marks = new Map<number, Set<string>>();
  #count = 0;

  /** @param bound marks at a time */
  constructor(
    readonly now: () => number,
    readonly bound = 1_000_000,
  ) {}

  get count(): number {
    return this.#count;
  }

  async admit(mark: Uint8Array, valid: Validity): Promise<boolean> {
    return this.take(mark, valid);
  }

  take(mark: Uint8Array, { until: expiresAt }: Validity): boolean {
    let peers = this.#marks.get(expiresAt);
    if (peers === undefined) {
      this.#forgetExpired();
      peers = new Set();
      this.#marks.set(expiresAt, peers);
    }
    const text = Buffer.from(mark.buffer, mark.byteOffset, markBytes).toString('latin1');
    if (peers.has(text)) return false;
    if (this.#count >= this.bound) {
      throw new PosternError('busy', `the replay window holds ${this.bound} messages; try again in a minute`);
    }
    peers.add(text);
    this.#count++;
    return true;
  }

  #forgetExpired(): void {
    const now = this.now();
    for (const [expiresAt, peers] of this.#marks) {
      if (expiresAt > now) continue;
      this.#count -= peers.size;
      this.#marks.delete(expiresAt);
    }
  }
}
