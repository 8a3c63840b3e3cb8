/**
 * The rate controller of xt_fuzzy, in its integer arithmetic: over a window of more than a tenth of a second it takes
 * the mean packet rate, and from that how many of a hundred packets may pass. The kernel levels of `fuzzy` are derived
 * from `acceptance`.
 */

export interface FuzzyLimits {
  /** Packets per second up to which every packet passes; at least 3. */
  readonly lower: number;
  /** Packets per second from which 1 % passes; at most 10,000,000. */
  readonly upper: number;
}

/** Whether the kernel module would take these limits (it answers EDOM otherwise). */
export function areFuzzyLimits({ lower, upper }: FuzzyLimits): boolean {
  return lower >= 3 && lower < upper && upper <= 10_000_000;
}

/** Per cent of packets that pass at a mean rate (packets per second). */
export function acceptance({ lower, upper }: FuzzyLimits, rate: number): number {
  const span = upper - lower;
  const high = rate <= lower ? 0 : rate >= upper ? 100 : Math.floor((100 * (rate - lower)) / span);
  const low = rate <= lower ? 100 : rate >= upper ? 0 : Math.floor((100 * (upper - rate)) / span);
  return low + (high === 100 ? 1 : 0);
}

/** The greatest random byte with which a packet passes at this acceptance. */
export const passesUpTo = (accepted: number): number => Math.floor((255 * accepted) / 100);

/** One rule's state. Times are in ticks of a clock that counts `ticksPerSecond`; it may start anywhere. */
export class FuzzyModel {
  meanRate = 0;
  acceptance = 100;
  packets = 0;
  bytes = 0;
  #windowStart = 0;

  constructor(
    readonly limits: FuzzyLimits,
    readonly ticksPerSecond: number,
  ) {}

  /** Whether this packet is over the limit (the match holds). `random` is a byte. */
  matches(nowTicks: number, length: number, random: number): boolean {
    this.#count(nowTicks, length);
    if (this.acceptance >= 100) return false;
    return random > this.passesUpTo!;
  }

  /** The greatest random byte with which a packet passes now; undefined while all pass. */
  get passesUpTo(): number | undefined {
    return this.acceptance >= 100 ? undefined : passesUpTo(this.acceptance);
  }

  #count(nowTicks: number, length: number): void {
    this.packets += 1;
    this.bytes += length;
    const elapsed = nowTicks - this.#windowStart;
    if (elapsed < 0) this.#restart(nowTicks);
    else if (elapsed > this.ticksPerSecond / 10) this.#close(nowTicks, elapsed);
  }

  #close(nowTicks: number, elapsed: number): void {
    this.meanRate = Math.floor((this.ticksPerSecond * this.packets) / elapsed);
    this.acceptance = acceptance(this.limits, this.meanRate);
    this.#restart(nowTicks);
  }

  #restart(nowTicks: number): void {
    this.#windowStart = nowTicks;
    this.packets = 0;
    this.bytes = 0;
  }
}
