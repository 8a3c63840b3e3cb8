/** Keeps a log readable when someone floods us with what is logged line by line. */

/** Lets some lines through at once and one an interval afterwards, and counts those that it holds back. */
export class LineLimit {
  #left: number;
  #refilledAt = Number.NEGATIVE_INFINITY;
  #heldBack = 0;

  constructor(
    readonly burst = 5,
    readonly intervalMs = 10_000,
  ) {
    this.#left = burst;
  }

  /** Lines held back since the last one that passed, when this one may pass; undefined when it may not. */
  pass(nowMs: number): number | undefined {
    const earned = Math.floor((nowMs - this.#refilledAt) / this.intervalMs);
    if (earned > 0) {
      this.#left = Math.min(this.burst, this.#left + earned);
      this.#refilledAt = nowMs;
    }
    if (this.#left === 0) {
      this.#heldBack++;
      return undefined;
    }
    this.#left--;
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    return heldBack;
  }
}
