/** State from one machine to another as JSON lines, in bounded memory. */

import { asPosternError, PosternError } from '../errors.js';
import { checkHeader, decodeRegister, encodeHeader, encodeRegister } from './lines.js';
import type { Register } from './register.js';
import type { Store } from './store.js';

/** Longer than any register but values, which hold a policy at most. */
const maxLineLength = 20 * 1024 * 1024;
const registersPerJoin = 1_000;

/** The lines of an export, without line ends. */
export function* exportLines(node: string, registers: Iterable<Register>, wallMs: number): Generator<string> {
  yield encodeHeader(node, wallMs);
  for (const register of registers) yield encodeRegister(register);
}

export interface ImportCount {
  readonly records: number;
  /** Those that were news; the others were known already, or something later was. */
  readonly won: number;
}

/**
 * Joins the lines of an export into a store. What is known already changes nothing, so that an import that broke off can
 * simply be made again.
 * @param progress is told how many records are done, every thousand
 * @throws PosternError `invalid` with the number of the line; the records before it are in the store.
 */
export async function importLines(
  store: Pick<Store, 'join'>,
  chunks: AsyncIterable<Uint8Array | string>,
  progress: (records: number) => void = () => {},
): Promise<ImportCount> {
  let [records, won, number] = [0, 0, 0];
  let registers: Register[] = [];
  const joinAll = async () => {
    won += await store.join(registers);
    records += registers.length;
    registers = [];
    progress(records);
  };
  try {
    for await (const line of linesOf(chunks)) {
      number++;
      if (line.trim() === '') continue;
      const register = atLine(number, () => (number === 1 ? checkHeader(line) : decodeRegister(line)));
      if (register !== undefined) registers.push(register);
      if (registers.length === registersPerJoin) await joinAll();
    }
  } finally {
    await joinAll();
  }
  if (number === 0) throw new PosternError('invalid', 'there is nothing to import: no line came');
  return { records, won };
}

function atLine<T>(number: number, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const { code, message } = asPosternError(thrown);
    throw new PosternError(code, `line ${number}: ${message}`, { cause: thrown });
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n');
    rest = lines.pop()!;
    if (rest.length > maxLineLength) throw new PosternError('invalid', 'a line is longer than any record is');
    yield* lines;
  }
  if (rest !== '') yield rest;
}
