import type { TableDigest, tableDigest } from '../../store/digest.js';
import type { FolderState } from '../../store/read-folder.js';
import { command } from '../command.js';
import { placeOptions } from '../defaults.js';
import { aligned, sizeText } from '../text.js';
import { storeDisk } from './folder.js';

interface TableView {
  readonly table: string;
  readonly entries: number;
  readonly expired: number;
  readonly deleted: number;
  /** Of the entries in force: equal where two machines hold the same, however they came to it. */
  readonly digest: string;
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
  about: `The digest of a table is over its entries with their stamps and expiries: two machines of which one took in all that the
other exported show the same.`,
  options: { json: { type: 'boolean', help: 'print as JSON' }, ...placeOptions },
  async run({ values, io }) {
    const disk = await storeDisk(values);
    const [{ readFolder }, { tableDigest }] = await Promise.all([
      import('../../store/read-folder.js'),
      import('../../store/digest.js'),
    ]);
    const view = viewOf(readFolder(disk), tableDigest, Date.now());
    await io.out(values.json === true ? `${JSON.stringify(view)}\n` : textOf(view));
    return 0;
  },
});

function viewOf({ state, loaded }: FolderState, digest: typeof tableDigest, now: number): StateView {
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
      return {
        table: table.name,
        entries: table.size - table.deleted - expired,
        expired,
        deleted: table.deleted,
        digest: digestText(digest(table.registers(), noSalt, now)),
      };
    }),
    values,
    marks: state.counts.marks,
    troubles: [...loaded.damaged, ...loaded.newer].map(({ file, what }) => `${file}: ${what}`),
  };
}

/** Nobody chooses addresses against it: it is compared by people, over what they hold themselves. */
const noSalt = '';
const digestDigits = 32;

function digestText({ sum }: TableDigest): string {
  return sum.toString(16).padStart(digestDigits, '0');
}

function textOf(view: StateView): string {
  const sizes = `journal ${sizeText(view.journalBytes)}, snapshot ${sizeText(view.snapshotBytes)}`;
  const head = aligned([
    ['node', view.node ?? 'unknown'],
    ['written', view.writtenAt ?? 'never'],
    ['size', sizes],
    ['marks', `${view.marks} of signed messages`],
    ...Object.entries(view.values).map(([space, count]) => [space, `${count}`]),
    ...view.troubles.map((trouble) => ['trouble', trouble]),
  ]);
  if (view.tables.length === 0) return head;
  const rows = view.tables.map(({ table, entries, expired, deleted, digest }) => [
    table,
    ...[entries, expired, deleted].map(String),
    digest,
  ]);
  return `${head}\n${aligned([['TABLE', 'ENTRIES', 'EXPIRED', 'DELETED', 'DIGEST'], ...rows], new Set([1, 2, 3]))}`;
}
