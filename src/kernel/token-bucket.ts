/** A rate limit: so many at once, so many a second. Pure. */

export class TokenBucket {
  #tokens: number;
  #filledAtMs = 0;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
  ) {
    this.#tokens = burst;
  }

  /** Takes one token if there is one. @param nowMs milliseconds from any start, never going back */
  take(nowMs: number): boolean {
    if (nowMs > this.#filledAtMs) {
      this.#tokens = Math.min(this.burst, this.#tokens + ((nowMs - this.#filledAtMs) * this.perSecond) / 1000);
      this.#filledAtMs = nowMs;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
