/** `tables:`, with the lists that their files hold. */

import type { TableDecl, TableEntry } from '../ast.js';
import { tableEntry } from '../formats/addresses.js';
import { type Mapping, Text } from '../node.js';
import type { Reader } from '../reader.js';
import { Value } from '../types.js';
import { builtinEntries } from './builtin.js';
import { checkIpsetEntries, ipsetOf } from './ipset.js';
import { coreSections } from './schemas.js';

/** Text of a list file, or undefined when it can't be read. */
export type ReadList = (path: string) => string | undefined;

export function readTables(section: Mapping, reader: Reader, readList?: ReadList): Map<string, TableDecl> {
  const declared = reader.read(coreSections.tables.schema, section, 'tables') ?? new Map();
  const tables = new Map<string, TableDecl>();
  for (const [name, { at, value }] of declared) {
    const { entries = [], timeout, builtin, ipset: written, ...options } = value;
    const listed = options.file === undefined || readList === undefined ? [] : readFile(name, options.file);
    const known = builtin === undefined ? [] : builtinEntries(builtin, at);
    const timeoutMs = timeout === undefined ? {} : { timeoutMs: timeout };
    const ipset = ipsetOf({ at, name, backend: options.backend }, written, reader);
    const table: TableDecl = {
      at,
      name,
      ...options,
      ...timeoutMs,
      entries: [...known, ...entries, ...listed],
      ...(ipset !== undefined && { ipset }),
    };
    checkSize(table);
    checkIpsetEntries(table, reader);
    tables.set(name, table);
  }
  return tables;

  function readFile(name: string, file: string): TableEntry[] {
    const text = readList?.(file);
    if (text !== undefined) return readEntries(text, file, reader);
    const at = fileOf(section, name)?.at ?? section.at;
    reader.log.error(at, `the list "${file}" can't be read`, 'a relative path begins at the folder of the policy');
    return [];
  }

  function checkSize({ at, name, entries, size }: TableDecl): void {
    const most = Math.max(...tierSizes(entries));
    if (most <= size) return;
    const message = `table "${name}" begins with ${most} entries of one kind, and its size is ${size}`;
    reader.log.error(at, message, `raise its "size" to ${most} or more`);
  }
}

/** How many hosts and how many wider entries of each family there are: each kind has room of its own. */
function tierSizes(entries: readonly TableEntry[]): number[] {
  const tiers = [0, 0, 0, 0];
  for (const { range, not } of entries) {
    if (not) continue;
    const tier = (range.family === 4 ? 0 : 2) + (range.first === range.last ? 0 : 1);
    tiers[tier]!++;
  }
  return tiers;
}

/** The `file:` of a table in the text. */
function fileOf(section: Mapping, table: string): Text | undefined {
  const options = section.entries.find(({ key }) => key.value === table)?.value;
  if (options?.kind !== 'map') return undefined;
  const file = options.entries.find(({ key }) => key.value === 'file')?.value;
  return file?.kind === 'text' ? file : undefined;
}

/** After so many wrong lines a file is no list. */
const mostWrongLines = 100;
const entrySchema = Value(tableEntry);

/** One entry a line; `!` or `not` makes an exception, `#` begins a comment, empty lines count for nothing. */
export function readEntries(list: string, file: string, reader: Reader): TableEntry[] {
  const entries: TableEntry[] = [];
  let wrong = 0;
  for (const [index, line] of list.split('\n').entries()) {
    const content = line.replace(/#.*/, '');
    const start = content.search(/\S/);
    if (start < 0) continue;
    const written = content.trim();
    const at = { file, line: index + 1, column: start + 1, length: written.length };
    const bang = /^!\s*/.exec(written)?.[0].length;
    const entry = reader.read(entrySchema, new Text(written.slice(bang ?? 0), at, bang === undefined), file);
    if (entry !== undefined) entries.push(bang === undefined ? entry : { ...entry, not: true });
    else if (++wrong === mostWrongLines) break;
  }
  return entries;
}
