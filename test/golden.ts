/** Golden files: what is checked in must be what is made now. `UPDATE_GOLDEN=1` writes them anew. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** @throws AssertionError when the file holds something else. */
export function assertGolden(path: string, made: string): void {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, made);
  assert.ok(existsSync(path), `${path} is missing; UPDATE_GOLDEN=1 writes it`);
  assert.equal(made, readFileSync(path, 'utf8'), `${path} is stale; UPDATE_GOLDEN=1 writes it anew`);
}
