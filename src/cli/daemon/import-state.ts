/** What another machine exported, taken into the store of a running daemon, its tables and its kernel. */

import type { ChangeCount, Source } from '../../engine/tables.js';
import { type ImportCount, importLines } from '../../store/transfer.js';
import type { Ground } from './ground.js';

/** @throws PosternError `invalid`, with the number of the line; what stood before it is in force. */
export async function takeIn(
  { store, engine, audit }: Pick<Ground, 'store' | 'engine' | 'audit'>,
  lines: AsyncIterable<Uint8Array>,
  who: Source,
): Promise<ImportCount & { readonly changes: ChangeCount }> {
  let error: unknown;
  let count: ImportCount = { records: 0, won: 0 };
  try {
    count = await importLines(store, lines);
  } catch (thrown) {
    error = thrown;
  }
  const changes = await engine.takeFromStore();
  await audit.event({ who, op: 'import', detail: { ...count, ...changes } }, error);
  if (error !== undefined) throw error;
  return { ...count, changes };
}
