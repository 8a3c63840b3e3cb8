/**
 * File descriptors that a worker has opened itself. They belong to the process: when the worker is killed they would stay
 * open, and an NFLOG group stay taken. The worker notes them in shared memory, the main thread closes what is left.
 */

import { libc } from './layouts.js';

/** Room for `count` descriptors. */
export function fdSlots(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT);
}

/** In the worker: notes what stands open in a slot; undefined: nothing. */
export function noteFd(slots: SharedArrayBuffer, slot: number, fd: number | undefined): void {
  Atomics.store(new Int32Array(slots), slot, fd === undefined ? 0 : fd + 1);
}

/** In the main thread, after the worker's end. */
export function closeLeftFds(slots: SharedArrayBuffer): void {
  const words = new Int32Array(slots);
  for (let slot = 0; slot < words.length; slot++) {
    const fd = Atomics.exchange(words, slot, 0) - 1;
    if (fd >= 0) libc.close(fd);
  }
}
