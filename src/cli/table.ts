/** `postern table …`: the words of `pfctl -t TABLE -T …`. */

import { PosternError } from '../errors.js';
import { daemonOf, daemonOptions } from './client.js';
import { type Call, type CommandGroup, command } from './command.js';
import { type EntryWords, entriesFrom, entryOfWord, type ShownEntry, showLine } from './table-entries.js';
import { aligned, jsonLine } from './text.js';

const json = { type: 'boolean', help: 'print as JSON' } as const;

const entryOptions = {
  timeout: {
    type: 'string',
    short: 't',
    value: 'TIME',
    help: "how long: 10m, 1d12h, 'never'; the table's own if not given",
  },
  comment: { type: 'string', short: 'c', value: 'TEXT', help: 'a note to keep with each entry' },
  not: { type: 'boolean', help: 'exceptions: addresses that are not in the table' },
  json,
  ...daemonOptions,
} as const;

const aboutEntries = `An entry is a host or a prefix of either family, with ! before it for an exception. With - as the
only entry they are read from standard input: separated by blanks or newlines, # begins a comment, and lines that
'postern table show --json' printed are understood, too.`;

interface Changes {
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  readonly unchanged: number;
  readonly refused: number;
}

const list = command({
  summary: 'list the tables',
  options: { plain: { type: 'boolean', help: 'names only' }, json, ...daemonOptions },
  async run(call) {
    const { tables } = await daemonOf(call).ask<{ tables: TableRow[] }>('GET', '/v1/tables');
    if (call.values.json === true) await call.io.out(jsonLine(tables));
    else if (call.values.plain === true) await call.io.out(tables.map(({ name }) => `${name}\n`).join(''));
    else await call.io.out(tableRows(tables));
    return 0;
  },
});

interface TableRow {
  readonly name: string;
  readonly timeout?: string;
  readonly size: number;
  readonly hosts: number;
  readonly prefixes: number;
}

function tableRows(tables: readonly TableRow[]): string {
  const rows = tables.map(({ name, hosts, prefixes, size, timeout }) => [
    name,
    String(hosts),
    String(prefixes),
    String(size),
    timeout ?? 'never',
  ]);
  return aligned([['TABLE', 'HOSTS', 'PREFIXES', 'SIZE', 'TIMEOUT'], ...rows], new Set([1, 2, 3]));
}

const add = command({
  summary: 'add entries; one that is there gets the new timeout and comment',
  args: 'TABLE ENTRY...',
  about: aboutEntries,
  options: entryOptions,
  examples: [
    {
      command: 'postern table add bruteforce 192.0.2.7 2001:db8::/64 --timeout 1d',
      what: 'bans a host and a network for a day',
    },
    { command: 'postern table add spammer - < list.txt', what: 'adds the addresses of a file' },
  ],
  run: (call) => change(call, 'POST', entryWords(call)),
});

const remove = command({
  summary: 'delete entries',
  args: 'TABLE ENTRY...',
  about: aboutEntries,
  options: { json, ...daemonOptions },
  run: (call) => change(call, 'DELETE', 'address only'),
});

const replace = command({
  summary: 'replace the contents, in one step',
  args: 'TABLE ENTRY...',
  about: `${aboutEntries}\n\nEntries that stand in the policy stay.`,
  options: entryOptions,
  run: (call) => change(call, 'PUT', entryWords(call)),
});

const flush = command({
  summary: "delete all entries but the policy's own",
  args: 'TABLE',
  options: { json, ...daemonOptions },
  async run(call) {
    return printChanges(call, await daemonOf(call).ask<Changes>('POST', `${tablePath(call)}/flush`));
  },
});

const show = command({
  summary: 'show the entries',
  args: 'TABLE',
  about: 'With --json one entry a line; both that and --plain can be given to add and replace again.',
  options: { plain: { type: 'boolean', help: 'addresses only' }, json, ...daemonOptions },
  async run(call) {
    const { io, values } = call;
    const form = values.plain === true ? 'plain' : 'full';
    let text = '';
    for await (const line of daemonOf(call).follow(`${tablePath(call)}/entries`)) {
      text += values.json === true ? `${line}\n` : showLine(JSON.parse(line) as ShownEntry, form, Date.now());
      if (text.length < 16_384) continue;
      await io.out(text);
      text = '';
    }
    await io.out(text);
    return 0;
  },
});

const test = command({
  summary: 'tell which addresses are in the table; status 1 when one is not',
  args: 'TABLE ADDRESS...',
  options: { json, ...daemonOptions },
  async run(call) {
    const addresses = call.args.slice(1).map((address) => ({ address }));
    const { results } = await daemonOf(call).ask<{ results: TestRow[] }>('POST', `${tablePath(call)}/test`, addresses);
    if (call.values.json === true) await call.io.out(jsonLine(results));
    else await call.io.out(results.map((row) => testLine(row, call.args[0]!)).join(''));
    return results.every(({ inTable }) => inTable) ? 0 : 1;
  },
});

interface TestRow {
  readonly address: string;
  readonly inTable: boolean;
  readonly entry?: ShownEntry;
}

function testLine({ address, inTable, entry }: TestRow, table: string): string {
  const because = entry === undefined ? '' : `: ${showLine(entry, 'full', Date.now()).trimEnd().replace(/ +/g, ' ')}`;
  return `${address} is ${inTable ? 'in' : 'not in'} ${table}${because}\n`;
}

export const table: CommandGroup = {
  summary: 'look at and change tables',
  commands: { list, show, add, delete: remove, replace, flush, test },
};

type EntryCall = Call<typeof entryOptions>;

function entryWords({ values: { timeout, comment, not } }: EntryCall): EntryWords {
  return {
    ...(timeout !== undefined && { timeout }),
    ...(comment !== undefined && { comment }),
    ...(not === true && { not }),
  };
}

type ChangeCall = Call<Pick<typeof entryOptions, 'json' | 'socket'>>;

async function change(call: ChangeCall, method: 'POST' | 'PUT' | 'DELETE', words: EntryWords | 'address only') {
  const [, ...entries] = call.args;
  const path = `${tablePath(call)}/entries`;
  const daemon = daemonOf(call);
  if (!entries.includes('-')) {
    return printChanges(
      call,
      await daemon.ask<Changes>(
        method,
        path,
        entries.map((word) => entryOfWord(word, words)),
      ),
    );
  }
  if (entries.length > 1) throw new PosternError('usage', "'-' (standard input) can't stand beside other entries");
  return printChanges(call, await daemon.feed<Changes>(method, path, entriesFrom(call.io.stdin, words, Date.now)));
}

function tablePath({ args }: Pick<Call, 'args'>): string {
  return `/v1/tables/${encodeURIComponent(args[0]!)}`;
}

async function printChanges({ values, io }: ChangeCall, changes: Changes): Promise<number> {
  const { refused, unchanged, ...made } = changes;
  if (values.json === true) await io.out(jsonLine(changes));
  else {
    const parts = Object.entries(made)
      .filter(([, count]) => count > 0)
      .map(([what, count]) => `${count} ${what}`);
    if (unchanged > 0) parts.push(`${unchanged} already so`);
    await io.out(`${parts.join(', ') || 'no changes'}\n`);
  }
  if (refused === 0) return 0;
  throw new PosternError(
    'conflict',
    `${refused} not done, because the policy itself says otherwise of the same prefix: edit the policy and reload`,
    { details: changes },
  );
}
