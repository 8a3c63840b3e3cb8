/** The machine's clocks, as the store needs them. */

import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Reading } from './timeline.js';

export interface StoreClock {
  /** Milliseconds since the epoch; anyone may set it. */
  wallMs(): number;
  /** Milliseconds since some moment, for intervals within the process; stands still while the machine is suspended. */
  steadyMs(): number;
  /** All that is needed to compare with another process of the same boot. Costs a read of `/proc`. */
  reading(): Reading;
}

export function systemClock(): StoreClock {
  // See random(4): a new one with each boot.
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return {
    wallMs: () => Date.now(),
    steadyMs: () => performance.now(),
    reading: () => ({ bootId, wallMs: Date.now(), uptimeMs: Math.round(uptime() * 1000) }),
  };
}
