/**
 * What the C client of pftabled 1.09 makes of its command line: the same checks in the same order, the same messages,
 * the same bytes. Files, names and the clock come from outside.
 */

import { parseAddress } from '../net/address.js';
import type { HmacSha1 } from '../wire/hmac-sha1.js';
import { encodePftabled, pftabledCommands, pftabledTableBytes } from '../wire/pftabled.js';
import { getopt } from './getopt.js';

export interface ClientSurroundings {
  /** The key in a file; undefined when it can't be read or is too short. */
  readKey(path: string): Promise<HmacSha1 | undefined>;
  /** The first IPv4 address of a host; undefined when there is none. */
  resolve(host: string): Promise<string | undefined>;
  /** Seconds since the epoch. */
  unixTime(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type ClientOutcome =
  | { readonly send: Buffer; readonly address: string; readonly port: number }
  /** Exit status 1. */
  | { readonly stderr: string };

export const clientName = 'pftabled-client';

const usage = `
Usage: pftabled-client [-k keyfile] host port table cmd [ip[/mask]]

host      Host where pftabled is running
port      Port number at host
table     Name of table
cmd       One of: add, del or flush.
ip[/mask] IP or network to add or delete from table
keyfile   Name of file to read key from

`;

const commandNumbers: Readonly<Record<string, number>> = {
  add: pftabledCommands.add,
  del: pftabledCommands.delete,
  flush: pftabledCommands.flush,
};

export async function pftabledClient(argv: readonly string[], from: ClientSurroundings): Promise<ClientOutcome> {
  const options = await readOptions(argv, from);
  if ('stderr' in options) return options;
  const [host, port, table, command, target] = options.operands;
  if (host === undefined || port === undefined || table === undefined || command === undefined)
    return { stderr: usage };
  const address = await from.resolve(host);
  if (address === undefined) return failure(`Unable to resolve '${host}'`);
  const tableBytes = Buffer.from(table);
  if (tableBytes.length > pftabledTableBytes) return failure(`Table name '${table}' too long`);
  const number = Object.hasOwn(commandNumbers, command) ? commandNumbers[command] : undefined;
  if (number === undefined) return failure(`Unknown command '${command}'`);
  const wanted = number === pftabledCommands.flush ? nothing : readTarget(target);
  if ('stderr' in wanted) return wanted;
  const message = {
    version: 2,
    command: number,
    mask: wanted.mask,
    address: wanted.address,
    table: tableBytes.toString('latin1'),
    timestamp: from.unixTime() >>> 0,
  };
  return { send: encodePftabled(message, options.key), address, port: atoi(port) & 0xffff };
}

type Options = { readonly operands: readonly string[]; readonly key: HmacSha1 | undefined };
type Failure = { readonly stderr: string };

/** A key is read where its option stands, so the first thing that is wrong is the one that is told. */
async function readOptions(argv: readonly string[], from: ClientSurroundings): Promise<Options | Failure> {
  const steps = getopt(argv, 'hk:', from.env.POSIXLY_CORRECT === undefined);
  let key: HmacSha1 | undefined;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return { operands: step.value, key };
    if ('error' in step.value) return { stderr: `${clientName}: ${step.value.error}\n${usage}` };
    if (step.value.value === undefined) return { stderr: usage };
    key = await from.readKey(step.value.value);
    if (key === undefined) return failure('unable to read key file');
  }
}

interface Target {
  readonly address: number;
  readonly mask: number;
}

const nothing: Target = { address: 0, mask: 0 };

/** `ip[/mask]`; the host bits stay, clearing them is the server's. */
function readTarget(text: string | undefined): Target | Failure {
  if (text === undefined) return { stderr: usage };
  const slash = text.indexOf('/');
  const mask = slash < 0 ? 32 : atoi(text.slice(slash + 1)) & 0xff;
  if (mask < 1 || mask > 32) return failure(`Invalid network mask '${text.slice(slash)}'`);
  const address = slash < 0 ? text : text.slice(0, slash);
  const value = ipv4Value(address);
  return value === undefined ? failure(`Unable to parse '${address}'`) : { address: value, mask };
}

function ipv4Value(text: string): number | undefined {
  try {
    const { family, value } = parseAddress(text);
    return family === 4 ? Number(value) : undefined;
  } catch {
    return undefined;
  }
}

/** atoi(3) where int has 32 and long 64 bits: leading blanks, a sign, digits; the rest is ignored. */
function atoi(text: string): number {
  const [, sign, digits] = /^[ \t\n\v\f\r]*([+-]?)([0-9]+)/.exec(text) ?? [];
  if (digits === undefined) return 0;
  const value = sign === '-' ? -BigInt(digits) : BigInt(digits);
  const longMost = (1n << 63n) - 1n;
  const long = value > longMost ? longMost : value < -longMost - 1n ? -longMost - 1n : value;
  return Number(BigInt.asIntN(32, long));
}

function failure(message: string): Failure {
  return { stderr: `${clientName}: ${message}\n` };
}
