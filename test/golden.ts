/** Golden files: what is checked in must be what is made now. `UPDATE_GOLDEN=1` writes them anew. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** @throws AssertionError, with the first line that differs, when the file holds something else. */
export function assertGolden(path: string, made: string): void {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, made);
  const kept = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (made === kept) return;
  const [madeLines, keptLines] = [made.split('\n'), kept.split('\n')];
  const line = madeLines.findIndex((text, index) => text !== keptLines[index]);
  const at = line < 0 ? madeLines.length : line;
  assert.fail(
    `${path} is stale (UPDATE_GOLDEN=1 writes it anew); line ${at + 1}:\n- ${keptLines[at]}\n+ ${madeLines[at] ?? ''}`,
  );
}
