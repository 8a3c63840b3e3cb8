/** Tells when grants end: the kernel lets them go without a word. */

import type { Clock } from './clock.js';

/** Grants that end together are told of together. */
const togetherMs = 100;

export class KnockEnds<Grant> {
  readonly #grants = new Map<string, { readonly grant: Grant; readonly at: number }>();
  #armed: { readonly at: number; readonly cancel: () => void } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly ended: (grant: Grant) => void,
  ) {}

  /** @param leftMs absent: it doesn't end by itself */
  set(key: string, grant: Grant, leftMs: number | undefined): void {
    this.#grants.delete(key);
    if (leftMs === undefined) return;
    const at = this.clock.steady() + leftMs;
    this.#grants.set(key, { grant, at });
    this.#arm(at);
  }

  delete(key: string): void {
    this.#grants.delete(key);
  }

  /** Keeps those alone for which `stays` holds. */
  keep(stays: (grant: Grant) => boolean): void {
    for (const [key, { grant }] of this.#grants) if (!stays(grant)) this.#grants.delete(key);
  }

  stop(): void {
    this.#armed?.cancel();
    this.#grants.clear();
  }

  #arm(at: number): void {
    if (this.#armed !== undefined && this.#armed.at <= at) return;
    this.#armed?.cancel();
    this.#armed = { at, cancel: this.clock.at(at, () => this.#run()) };
  }

  #run(): void {
    this.#armed = undefined;
    const now = this.clock.steady();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, { grant, at }] of [...this.#grants]) {
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      this.#grants.delete(key);
      this.ended(grant);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(Math.max(next, now + togetherMs));
  }
}
