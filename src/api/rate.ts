/** How often a peer may do something: a bucket that holds `burst` and refills with `perSecond`. */

import { type Address, formatAddress, parseAddress } from '../net/address.js';
import { prefixOf } from '../net/prefix.js';

export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Peers remembered; beyond it the one that was quiet longest is forgotten. */
const maxPeers = 10_000;

export class RateGuard {
  /** In the order of their last call. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(
    readonly limit: RateLimit,
    readonly now: () => number,
  ) {}

  /** Takes one from the peer's bucket; false when there is none. */
  take(peer: string): boolean {
    const bucket = this.#filled(peer);
    this.#buckets.delete(peer);
    this.#buckets.set(peer, bucket);
    if (this.#buckets.size > maxPeers) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }

  /** Would `take` answer false? */
  exhausted(peer: string): boolean {
    return this.#filled(peer).left < 1;
  }

  /** Whole seconds until there is one again. */
  retryAfterSeconds(peer: string): number {
    return Math.max(1, Math.ceil((1 - this.#filled(peer).left) / this.limit.perSecond));
  }

  #filled(peer: string): { left: number; at: number } {
    const at = this.now();
    const known = this.#buckets.get(peer);
    if (known === undefined) return { left: this.limit.burst, at };
    const refill = (Math.max(0, at - known.at) / 1000) * this.limit.perSecond;
    return { left: Math.min(this.limit.burst, known.left + refill), at };
  }
}

/** Whom a limit is for: an IPv4 host, an IPv6 /64 (one customer's usual share). */
export function limitedPeer(remoteAddress: string): string {
  const address: Address = parseAddress(remoteAddress.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, ''));
  return address.family === 4 ? formatAddress(address) : formatAddress(prefixOf(address, 64));
}
