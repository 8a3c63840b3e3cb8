/** The edge to the `nft` command: structure goes through it, seldom and whole; elements never do. */

import { type ErrorCode, PosternError } from '../errors.js';
import type { Origin } from '../nft/model.js';
import { type Listing, readListing } from '../nft/read.js';
import { type Line, type tableName, textOf } from '../nft/render.js';
import { InterruptedLoad } from './kernel.js';
import { type ProcessResult, runProcess } from './process.js';

export interface NftOptions {
  /** Name of the network namespace (`ip netns`); absent: this process's own. */
  readonly netns?: string;
  /** Longest time for one call. */
  readonly timeoutMs?: number;
  /** Told the process id of every nft that is started. */
  readonly started?: (processId: number) => void;
  /** For tests: another command in place of `nft`. */
  readonly command?: string;
}

export interface Nft {
  /** Runs the lines as one transaction. @throws PosternError with the policy line that caused it; nothing has changed then. */
  load(lines: readonly Line[]): Promise<void>;
  /** As `load`, but the kernel only checks. */
  check(lines: readonly Line[]): Promise<void>;
  /** All tables of the namespace, without elements. */
  list(): Promise<Listing>;
  /** `1.0.6`. */
  version(): Promise<string>;
  /** A table as nft prints it for people, without elements. */
  show(table: TableName, options: { readonly counters: boolean }): Promise<string>;
  /** A table with its elements, as text that nft mostly takes again. */
  copy(table: TableName): Promise<string>;
}

/** Family and name of a table. */
export type TableName = Parameters<typeof tableName>[0];

const defaultTimeoutMs = 60_000;

/** Nothing is started before the first call. @throws PosternError `invalid` when the name can't be a namespace's. */
export function openNft(options: NftOptions = {}): Nft {
  const run = runner(options);
  return {
    load: async (lines) => void (await run(['-f', '-'], lines)),
    check: async (lines) => void (await run(['-c', '-f', '-'], lines)),
    list: async () => readListing(await run(['-j', '-t', 'list', 'ruleset'], [])),
    version: async () => /v?(\d+(?:\.\d+)+)/.exec(await run(['--version'], []))?.[1] ?? 'of an unknown version',
    copy: (table) => run(['list', 'table', table.family, table.name], []),
    show: (table, { counters }) => {
      const words = ['-t', 'list', 'table', table.family, table.name];
      return run(counters ? words : ['-s', ...words], []);
    },
  };
}

type Run = (args: readonly string[], lines: readonly Line[]) => Promise<string>;

function runner({ netns, timeoutMs = defaultTimeoutMs, command = 'nft', started }: NftOptions): Run {
  if (netns !== undefined && !/^[^/\0]+$/.test(netns)) {
    throw new PosternError('invalid', `${JSON.stringify(netns)} is no name of a network namespace`);
  }
  const enter = netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`, '--'];
  return async (args, lines) => {
    const [file, ...rest] = [...enter, command, ...args] as [string, ...string[]];
    const result = await runProcess(file, rest, { input: textOf(lines), timeoutMs, started });
    if (result.status === 0) return result.stdout;
    throw runFailure(result, { file, netns, timeoutMs }) ?? refusal(result.stderr, lines);
  };
}

/** What went wrong outside of the ruleset; undefined when nft itself refused it. */
function runFailure(
  result: ProcessResult,
  { file, netns, timeoutMs }: { file: string; netns: string | undefined; timeoutMs: number },
): PosternError | undefined {
  const fail = (code: ErrorCode, message: string): PosternError =>
    new PosternError(code, message, { cause: result.error });
  if (result.timedOut) {
    return new InterruptedLoad(
      'timeout',
      `nft took longer than ${timeoutMs / 1000} s and was stopped; look at what is loaded now: postern plan`,
    );
  }
  if (result.error?.code === 'ENOENT') {
    const parcel = file === 'nsenter' ? 'util-linux' : 'nftables';
    return fail('system', `The command ${file} is missing; install it: apt-get install ${parcel}`);
  }
  if (result.signal !== undefined) {
    return new InterruptedLoad(
      'system',
      `nft was ended by ${result.signal}; look at what is loaded now: postern plan, and at why: journalctl -k`,
      { details: { signal: result.signal } },
    );
  }
  if (result.error !== undefined) return fail('system', `${file} can't be started: ${result.error.message}`);
  const { stderr } = result;
  if (notAllowed.test(stderr)) {
    return fail('forbidden', 'The kernel lets only root change the firewall; run this as root (or with CAP_NET_ADMIN)');
  }
  if (/^nsenter: failed to execute/m.test(stderr)) {
    return fail('system', 'The command nft is missing; install it: apt-get install nftables');
  }
  if (/^nsenter: cannot open/m.test(stderr)) {
    return fail('not-found', `There is no network namespace ${netns}; these exist: ip netns list`);
  }
  return undefined;
}

/** Only where nft and nsenter report it: the lines that they quote may say anything. */
const notAllowed =
  /^(?:Operation not permitted|netlink: Error: .*Operation not permitted|\S+: Error: Could not process rule: Operation not permitted|nsenter: .*(?:Operation not permitted|Permission denied)$)/m;

interface Complaint {
  readonly reason: string;
  readonly text: string;
  readonly origin?: Origin;
}

/** Only the first complaint is told: those after it mostly follow from it. All are in `details`. */
function refusal(stderr: string, lines: readonly Line[]): PosternError {
  const complaints = readComplaints(stderr, lines);
  const [first] = complaints;
  if (first === undefined) {
    return new PosternError('kernel', `nft failed and said only: ${stderr.trim() || 'nothing'}`);
  }
  const where = first.origin && `${first.origin.file}:${first.origin.line}:${first.origin.column}: `;
  const { code, hint } = explain(first.reason);
  const message = `${where ?? ''}the kernel refuses \`${first.text}\`: ${first.reason}${hint && ` (${hint})`}; nothing was changed`;
  return new PosternError(code, message, { details: { complaints } });
}

/** `/dev/stdin:12:3-20: Error: reason`, and the same for every further one. */
function readComplaints(stderr: string, lines: readonly Line[]): Complaint[] {
  return [...stderr.matchAll(/^(?:\/dev\/stdin|-):(\d+):\d+-\d+: Error: (.*)$/gm)].map(([, number, text]) => {
    const line = lines[Number(number) - 1];
    return {
      reason: (text ?? '').replace(/^Could not process rule: /, ''),
      text: line?.text.trim() ?? '',
      ...(line?.origin && { origin: line.origin }),
    };
  });
}

const reasons: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/^Too many open files in system/, 'full', 'the set is full: give it a larger size'],
  [/^Operation not supported/, 'unsupported', 'not in this place, or not with this kernel'],
  [/^Too many links/, 'kernel', 'chains that jump in a circle, or too deep'],
  [/^Device or resource busy/, 'kernel', 'it is still in use'],
  [/^File exists/, 'conflict', 'it exists in another form'],
];

function explain(reason: string): { code: ErrorCode; hint: string } {
  const known = reasons.find(([pattern]) => pattern.test(reason));
  return known === undefined ? { code: 'kernel', hint: '' } : { code: known[1], hint: known[2] };
}
