/**
 * Wall clocks are stepped; what is left of a ban must not change by it. The store notes the wall clock beside the time since
 * boot, which nobody sets, and so knows a step. Over a reboot only a clock that stands before its last value is certain;
 * one that is ahead is a machine that was off or a step, so that gap is kept as credit, until the clock is put back.
 */

import type { Earlier, Shift } from './frame.js';
import type { Stamp } from './register.js';

export interface Reading {
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
  /** Milliseconds since boot, suspension included. */
  readonly uptimeMs: number;
}

/** Smaller differences are the clock being slewed, or read at two moments. */
export const stepThresholdMs = 2_000;
/** From here on a clock that is ahead after a reboot is worth a word. */
const gapThresholdMs = 600_000;

/** By how much the wall clock was stepped between two readings of one boot; 0: it wasn't. */
export function stepBetween(before: Reading, now: Reading): number {
  const step = now.wallMs - before.wallMs - (now.uptimeMs - before.uptimeMs);
  return Math.abs(step) < stepThresholdMs ? 0 : step;
}

export interface Start {
  readonly shift?: Shift;
  readonly earlier?: Earlier;
  /** For people. */
  readonly notice?: string;
}

/**
 * What a start means for expiries.
 * @param last the last reading on the disk
 * @param latest the latest stamp on the disk: it and all before are from before this start
 * @param earlier what the last start found, if it was in the same boot
 */
export function clockAtStart(
  last: Reading | undefined,
  now: Reading,
  latest: Stamp,
  earlier: Earlier | undefined,
): Start {
  if (last === undefined) return {};
  if (last.bootId === now.bootId) {
    const step = stepBetween(last, now);
    if (step === 0) return earlier === undefined ? {} : { earlier };
    return {
      ...stepped(step, earlier),
      notice: `the clock was stepped by ${seconds(step)}; expiries were moved with it`,
    };
  }
  const gapMs = now.wallMs - last.wallMs;
  if (gapMs < -stepThresholdMs) {
    return {
      shift: { ms: gapMs, before: 0, earlierMs: 0 },
      notice: `the clock stands ${seconds(-gapMs)} before its last value; expiries were moved back with it`,
    };
  }
  return {
    earlier: { before: latest, gapMs: Math.max(0, gapMs) },
    ...(gapMs > gapThresholdMs && {
      notice: `the clock is ${seconds(gapMs)} ahead of its last value: the machine was off, or the clock was stepped; expired entries are kept for an hour in case it is put back`,
    }),
  };
}

/**
 * How expiries move when the clock is stepped. They move with it, but what is from before the boot stays where it is as far
 * as the step takes back the gap of that boot: then it was the gap that was wrong.
 */
export function stepped(
  stepMs: number,
  earlier: Earlier | undefined,
): { readonly shift: Shift; readonly earlier?: Earlier } {
  if (earlier === undefined) return { shift: { ms: stepMs, before: 0, earlierMs: stepMs } };
  const takenBack = Math.min(Math.max(0, -stepMs), earlier.gapMs);
  return {
    shift: { ms: stepMs, before: earlier.before, earlierMs: stepMs + takenBack },
    earlier: { before: earlier.before, gapMs: earlier.gapMs - takenBack },
  };
}

/** The shift as a function of the stamp. */
export function shiftOf(shift: Shift): (at: Stamp) => number {
  return (at) => (at <= shift.before ? shift.earlierMs : shift.ms);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
