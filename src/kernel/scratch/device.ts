/** A device of the scratch host as it is held from outside: what is written comes in by it, what it sends is read. */

import type { ScratchDevice } from '../scratch.js';

export interface HeldDevice {
  readonly device: ScratchDevice;
  /** Errno of the write, 0 when the device took it. Everything that it causes has happened when this returns. */
  write(frame: Uint8Array): number;
  /** What the device has sent since the last time. */
  sent(): Iterable<Uint8Array>;
  close(): void;
}

/** The longest packet of IP with its Ethernet header. */
export const FRAME_BYTES = 65_536 + 14;
