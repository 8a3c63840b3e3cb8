/**
 * What `iptaccount` of xtables-addons 3.27 prints, over accounts that come from outside. Its command line, its output
 * and its exit statuses are kept to the letter, since scripts read them.
 */

import { getopt } from './getopt.js';

/** One address: what it sent, what was sent to it. */
export interface AccountLine {
  readonly ip: string;
  readonly sourcePackets: bigint;
  readonly sourceBytes: bigint;
  readonly destinationPackets: bigint;
  readonly destinationBytes: bigint;
}

/** What the original asks the kernel for. What is thrown is printed behind the action that failed. */
export interface AccountKernel {
  /** Throws when nobody answers. */
  open(): Promise<void>;
  handleUsage(): Promise<number>;
  freeHandles(): Promise<void>;
  names(): Promise<readonly string[]>;
  /** In address order; undefined when there is no such account. `flush` also zeroes, without losing a packet. */
  read(name: string, flush: boolean): Promise<readonly AccountLine[] | undefined>;
}

export interface IptaccountOutput {
  out(text: string): Promise<void>;
  err(text: string): void;
  /** Settles a second later; false when the user wants to stop. */
  nextSecond(): Promise<boolean>;
}

const banner = '\nlibxt_ACCOUNT_cl userspace accounting tool v1.3\n\n';

const usage = `Unknown command-line option. Try: [-u] [-h] [-a] [-f] [-c] [-s] [-l name]
[-u] show kernel handle usage
[-h] free all kernel handles (experts only!)

[-a] list all table names
[-l name] show data in table <name>
[-f] flush data after showing
[-c] loop every second (abort with Ctrl+C)
[-s] CSV output (for spreadsheet import)

`;

/** exit(-1) as a shell sees it. */
const failed = 255;

/** Runs a command line and answers the exit status. */
export async function iptaccount(
  argv: readonly string[],
  kernel: AccountKernel,
  output: IptaccountOutput,
): Promise<number> {
  await output.out(banner);
  const wanted = readOptions(argv, output);
  if (wanted === undefined) {
    await output.out(usage);
    return 0;
  }
  return (await act(wanted, kernel, output)) ?? finish(output);
}

interface Wanted {
  readonly letters: ReadonlySet<string>;
  readonly table: string | undefined;
}

function readOptions(argv: readonly string[], output: IptaccountOutput): Wanted | undefined {
  if (argv.length === 0) return undefined;
  const letters = new Set<string>();
  let table: string | undefined;
  for (const step of getopt(argv, 'uhacfsl:')) {
    if ('error' in step) {
      output.err(`iptaccount: ${step.error}\n`);
      return undefined;
    }
    letters.add(step.option);
    table = step.value ?? table;
  }
  return { letters, table };
}

/** In the original's order, whatever the order of the options. Answers an exit status when it ends early. */
async function act(wanted: Wanted, kernel: AccountKernel, output: IptaccountOutput): Promise<number | undefined> {
  const { letters, table } = wanted;
  let doing = 'Init failed';
  try {
    await kernel.open();
    if (letters.has('u')) {
      doing = 'get_handle_usage failed';
      await output.out(`Current kernel handle usage: ${await kernel.handleUsage()}\n`);
    }
    if (letters.has('h')) {
      doing = 'handle_free_all failed';
      await kernel.freeHandles();
      await output.out('Freed all handles in kernel space\n');
    }
    if (letters.has('a')) {
      doing = 'get_table_names failed';
      for (const name of await kernel.names()) await output.out(`Found table: ${name}\n`);
    }
  } catch (error) {
    await output.out(`${doing}: ${(error as Error).message}\n`);
    return failed;
  }
  return table === undefined ? undefined : show(table, letters, kernel, output);
}

async function show(
  table: string,
  letters: ReadonlySet<string>,
  kernel: AccountKernel,
  output: IptaccountOutput,
): Promise<number | undefined> {
  const csv = letters.has('s');
  await output.out(csv ? 'IP;SRC packets;SRC bytes;DST packets;DST bytes\n' : `Showing table: ${table}\n`);
  for (let run = 0; ; run++) {
    let rows: readonly AccountLine[] | undefined;
    let problem = "Can't get table information from kernel. Does it exist?";
    try {
      rows = await kernel.read(table, letters.has('f'));
    } catch (error) {
      problem = (error as Error).message;
    }
    if (rows === undefined) {
      await output.out(`Read failed: ${problem}\n`);
      return 1;
    }
    if (!csv) await output.out(`Run #${run} - ${rows.length} ${rows.length === 1 ? 'item' : 'items'} found\n`);
    await output.out(rows.map(csv ? csvRow : row).join(''));
    if (!letters.has('c') || !(await output.nextSecond())) return undefined;
  }
}

function row(line: AccountLine): string {
  const source = `SRC packets: ${line.sourcePackets} bytes: ${line.sourceBytes}`;
  return `IP: ${line.ip} ${source} DST packets: ${line.destinationPackets} bytes: ${line.destinationBytes}\n`;
}

function csvRow(line: AccountLine): string {
  const counts = [line.sourcePackets, line.sourceBytes, line.destinationPackets, line.destinationBytes];
  return `${[line.ip, ...counts].join(';')}\n`;
}

async function finish(output: IptaccountOutput): Promise<number> {
  await output.out('Finished.\n');
  return 0;
}
