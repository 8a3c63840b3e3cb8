/** A device of the scratch host as it is held from outside: what is written comes in by it, what it sends is read. */

import { fixedBuffer, lastErrno, libc } from '../layouts.js';
import type { ScratchDevice } from '../scratch.js';

/** The longest packet of IP with its Ethernet header. */
const FRAME_BYTES = 65_536 + 14;

export class HeldDevice {
  readonly #buffer = fixedBuffer(FRAME_BYTES);

  /** @param fd non-blocking, a frame with each call; it is closed with this */
  constructor(
    readonly device: ScratchDevice,
    private readonly fd: number,
  ) {}

  /** Errno of the write, 0 when the device took it. Everything that it causes has happened when this returns. */
  write(frame: Uint8Array): number {
    return libc.write(this.fd, frame as Buffer, frame.length) < 0 ? lastErrno() : 0;
  }

  /** What the device has sent since the last time. */
  *sent(): Generator<Uint8Array> {
    for (;;) {
      const bytes = libc.read(this.fd, this.#buffer, FRAME_BYTES);
      if (bytes <= 0) return;
      yield new Uint8Array(this.#buffer.subarray(0, bytes));
    }
  }

  close(): void {
    libc.close(this.fd);
  }
}
