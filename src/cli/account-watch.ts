/** `postern account watch`. */

import { PosternError } from '../errors.js';
import type { Daemon } from './client.js';
import type { Io } from './command.js';
import { aligned } from './text.js';

interface Rate {
  readonly packets: number;
  readonly bytes: number;
}

interface Rates {
  readonly at: string;
  readonly rates: readonly { readonly address: string; readonly source: Rate; readonly destination: Rate }[];
}

export interface WatchOptions {
  readonly interval?: string;
  readonly rounds?: string;
  readonly json?: boolean;
}

/** Lines of a round, unless the terminal says how many fit. */
const defaultRows = 40;

export async function watchRates(daemon: Daemon, account: string, options: WatchOptions, io: Io): Promise<number> {
  const rounds = options.rounds === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.rounds);
  const interval = options.interval === undefined ? '' : `?interval=${encodeURIComponent(options.interval)}`;
  let round = 0;
  for await (const line of daemon.follow(`/v1/accounts/${encodeURIComponent(account)}/rates${interval}`)) {
    await io.out(options.json === true ? `${line}\n` : roundText(JSON.parse(line) as Rates, io.screenRows));
    round++;
    if (round >= rounds) break;
  }
  return 0;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new PosternError('usage', `--rounds: '${text}' is not a whole number above 0`);
}

const clearScreen = '\x1b[H\x1b[2J';

/** Lines that are not addresses: time, heading, the count of the rest, the cursor's own. */
const otherRows = 4;

function roundText({ at, rates }: Rates, screenRows: number | undefined): string {
  const fitting = Math.max(1, (screenRows ?? defaultRows) - otherRows);
  const rows = rates
    .slice(0, fitting)
    .map(({ address, source, destination }) => [address, ...cells(source), ...cells(destination)]);
  const rest = rates.length > fitting ? `and ${rates.length - fitting} more\n` : '';
  const head = ['ADDRESS', 'SRC PACKETS/S', 'SRC BYTES/S', 'DST PACKETS/S', 'DST BYTES/S'];
  const table = aligned([head, ...rows], new Set([1, 2, 3, 4]));
  return `${screenRows === undefined ? '' : clearScreen}${at}\n${table}${rest}`;
}

function cells({ packets, bytes }: Rate): string[] {
  return [short(packets), short(bytes)];
}

/** `1.2k`, `34M`: three digits tell enough. */
function short(perSecond: number): string {
  let value = perSecond;
  for (const unit of ['', 'k', 'M', 'G']) {
    if (value < 999.5) return `${value < 9.95 && unit !== '' ? value.toFixed(1) : Math.round(value)}${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)}T`;
}
