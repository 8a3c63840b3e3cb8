/** Commits what comes in parts, in their order; while one is in the kernel the next one is made, and encoded. */

import type { ElementChange } from './kernel.js';

/** @throws what the first part that fails throws; the one after it may have been committed then. */
export async function oneAhead(
  parts: Iterable<readonly ElementChange[]> | AsyncIterable<readonly ElementChange[]>,
  commit: (part: readonly ElementChange[]) => Promise<void>,
): Promise<void> {
  let before: Promise<void> = Promise.resolve();
  for await (const part of parts) {
    const own = commit(part);
    // Waited for in its turn.
    own.catch(() => {});
    await before;
    before = own;
  }
  await before;
}
