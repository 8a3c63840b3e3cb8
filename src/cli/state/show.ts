import { formatSize } from '../../net/size.js';
import type { FolderState } from '../../store/read-folder.js';
import { command } from '../command.js';
import { placeOptions } from '../defaults.js';
import { aligned } from '../text.js';
import { storeDisk } from './folder.js';

interface TableView {
  readonly table: string;
  readonly entries: number;
  readonly expired: number;
  readonly deleted: number;
}

interface StateView {
  readonly node: string | undefined;
  /** When the clock was noted last. */
  readonly writtenAt: string | undefined;
  readonly journalBytes: number;
  readonly snapshotBytes: number;
  readonly tables: readonly TableView[];
  /** Values by what they are of: quota, knock … */
  readonly values: Readonly<Record<string, number>>;
  readonly marks: number;
  readonly troubles: readonly string[];
}

export const show = command({
  summary: 'show what is kept, in numbers',
  options: { json: { type: 'boolean', help: 'print as JSON' }, ...placeOptions },
  async run({ values, io }) {
    const disk = await storeDisk(values);
    const { readFolder } = await import('../../store/read-folder.js');
    const view = viewOf(readFolder(disk), Date.now());
    await io.out(values.json === true ? `${JSON.stringify(view)}\n` : textOf(view));
    return 0;
  },
});

function viewOf({ state, loaded }: FolderState, now: number): StateView {
  const values: Record<string, number> = {};
  for (const register of state.registers()) {
    if (register.kind === 'value' && register.value !== undefined)
      values[register.space] = (values[register.space] ?? 0) + 1;
  }
  return {
    node: loaded.head?.node,
    writtenAt: loaded.reading && new Date(loaded.reading.wallMs).toISOString(),
    journalBytes: loaded.journalBytes,
    snapshotBytes: loaded.snapshotBytes,
    tables: [...state.tables()].map((table) => {
      const expired = table.countWhere((_at, expiresAt, deleted) => !deleted && expiresAt <= now);
      return { table: table.name, entries: table.size - table.deleted - expired, expired, deleted: table.deleted };
    }),
    values,
    marks: state.counts.marks,
    troubles: [...loaded.damaged, ...loaded.newer].map(({ file, what }) => `${file}: ${what}`),
  };
}

function textOf(view: StateView): string {
  const sizes = `journal ${formatSize(view.journalBytes)}, snapshot ${formatSize(view.snapshotBytes)}`;
  const head = aligned([
    ['node', view.node ?? 'unknown'],
    ['written', view.writtenAt ?? 'never'],
    ['size', sizes],
    ['marks', `${view.marks} of signed messages`],
    ...Object.entries(view.values).map(([space, count]) => [space, `${count}`]),
    ...view.troubles.map((trouble) => ['trouble', trouble]),
  ]);
  if (view.tables.length === 0) return head;
  const rows = view.tables.map(({ table, entries, expired, deleted }) => [
    table,
    ...[entries, expired, deleted].map(String),
  ]);
  return `${head}\n${aligned([['TABLE', 'ENTRIES', 'EXPIRED', 'DELETED'], ...rows], new Set([1, 2, 3]))}`;
}
