/** Notices when the wall clock is stepped while the process runs, cheaply enough to look at every change. */

import type { Earlier, Shift } from './frame.js';
import type { StoreClock } from './system-clock.js';
import { type Reading, stepBetween, stepped, stepThresholdMs } from './timeline.js';

export class ClockWatch {
  /** Signed messages taken before this aren't known; ms since the epoch. */
  lostMarksAt: number | undefined;
  #reading: Reading;
  /** Wall clock less steady clock, when the reading was made. */
  #offsetMs: number;
  #earlier: Earlier | undefined;
  #untoldMs = 0;

  constructor(
    private readonly clock: StoreClock,
    earlier: Earlier | undefined,
    lostMarksAt: number | undefined,
  ) {
    this.#earlier = earlier;
    this.lostMarksAt = lostMarksAt;
    this.#reading = clock.reading();
    this.#offsetMs = clock.wallMs() - clock.steadyMs();
  }

  get earlier(): Earlier | undefined {
    return this.#earlier;
  }

  /** How expiries have to move, when the clock was stepped since the last look. */
  look(): Shift | undefined {
    const offsetMs = this.clock.wallMs() - this.clock.steadyMs();
    if (Math.abs(offsetMs - this.#offsetMs) < stepThresholdMs) return undefined;
    // The steady clock stands still in suspension, so only the time since boot tells a step.
    const reading = this.clock.reading();
    const stepMs = stepBetween(this.#reading, reading);
    this.#reading = reading;
    this.#offsetMs = offsetMs;
    if (stepMs === 0) return undefined;
    const { shift, earlier } = stepped(stepMs, this.#earlier);
    this.#earlier = earlier;
    if (this.lostMarksAt !== undefined) this.lostMarksAt += stepMs;
    this.#untoldMs += stepMs;
    return shift;
  }

  /** The steps since the last call. */
  takeStep(): number {
    const step = this.#untoldMs;
    this.#untoldMs = 0;
    return step;
  }
}
