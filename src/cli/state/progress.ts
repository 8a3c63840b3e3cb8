/** Lines on standard error while something takes long, one a second; nothing when it is quick. */

import type { Io } from '../command.js';

const everyMs = 1_000;

export function progress(io: Pick<Io, 'err'>, textOf: (done: number) => string): (done: number) => void {
  let toldAt = performance.now();
  return (done) => {
    const now = performance.now();
    if (now - toldAt < everyMs) return;
    toldAt = now;
    io.err(`postern: ${textOf(done)}\n`);
  };
}
