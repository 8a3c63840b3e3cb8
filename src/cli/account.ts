/** `postern account …`: per-IP counts, as people read them. `postern iptaccount` prints as the original does. */

import { askReading, parseReading, type Reading, type Traffic } from './account-reading.js';
import { daemonOf, daemonOptions } from './client.js';
import { type Call, type CommandGroup, command } from './command.js';
import { aligned, jsonLine } from './text.js';

const json = { type: 'boolean', help: 'print as JSON' } as const;
const options = { json, ...daemonOptions } as const;

const list = command({
  summary: 'list the accounts',
  options: { plain: { type: 'boolean', help: 'names only' }, ...options },
  async run(call) {
    const { accounts } = await daemonOf(call).ask<{ accounts: Account[] }>('GET', '/v1/accounts');
    if (call.values.json === true) await call.io.out(jsonLine(accounts));
    else if (call.values.plain === true) await call.io.out(accounts.map(({ name }) => `${name}\n`).join(''));
    else {
      const rows = accounts.map(({ name, size, networks }) => [name, String(size), networks.join(' ')]);
      await call.io.out(aligned([['ACCOUNT', 'SIZE', 'NETWORKS'], ...rows], new Set([1])));
    }
    return 0;
  },
});

interface Account {
  readonly name: string;
  readonly size: number;
  readonly networks: readonly string[];
}

const show = command({
  summary: 'show what was counted since the last flush',
  args: 'ACCOUNT',
  options,
  run: (call) => print(call, false),
});

const flush = command({
  summary: 'show what was counted, and zero it in the same step',
  args: 'ACCOUNT',
  options,
  run: (call) => print(call, true),
});

async function print({ args, values, io }: Call<typeof options>, zero: boolean): Promise<number> {
  const json = await askReading(daemonOf({ values, io }), args[0]!, zero);
  await io.out(values.json === true ? `${json}\n` : readingText(parseReading(json)));
  return 0;
}

function readingText({ rows, overflow }: Reading): string {
  const cells = rows.map(({ address, source, destination }) => [address, ...counts(source), ...counts(destination)]);
  const lost = overflow.packets === 0n ? [] : [['(overflow)', ...counts(overflow)]];
  const head = ['ADDRESS', 'SRC PACKETS', 'SRC BYTES', 'DST PACKETS', 'DST BYTES'];
  return aligned([head, ...cells, ...lost], new Set([1, 2, 3, 4]));
}

function counts({ packets, bytes }: Traffic): string[] {
  return [String(packets), String(bytes)];
}

const watch = command({
  summary: 'show the traffic of each address as it flows',
  args: 'ACCOUNT',
  about: 'Busiest first. Ends with Ctrl+C, or after the number of rounds that is asked for. Counters are not touched.',
  options: {
    interval: { type: 'string', short: 'i', value: 'TIME', help: 'between two rounds; 1s if not given' },
    rounds: { type: 'string', short: 'n', value: 'NUMBER', help: 'end after so many' },
    ...options,
  },
  async run(call) {
    const { watchRates } = await import('./account-watch.js');
    return watchRates(daemonOf(call), call.args[0]!, call.values, call.io);
  },
});

export const account: CommandGroup = {
  summary: 'look at per-IP accounts',
  commands: { list, show, flush, watch },
};
