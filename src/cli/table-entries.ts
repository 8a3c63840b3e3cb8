/** Entries of tables as they are typed, read from standard input, and shown. */

import { PosternError } from '../errors.js';
import { roughly } from './text.js';

/** What is said of each entry. */
export interface EntryWords {
  readonly timeout?: string;
  readonly comment?: string;
  readonly not?: boolean;
}

/** An entry as the API takes it. */
type EntryBody = EntryWords & { readonly address: string };

/** As the API shows it. */
export interface ShownEntry {
  readonly address: string;
  readonly not?: boolean;
  readonly timeout?: string;
  readonly expiresAt?: string;
  readonly comment?: string;
  readonly source: { readonly kind: string; readonly id: string };
  readonly packets?: number;
  readonly bytes?: number;
}

/** `192.0.2.7`, `!192.0.2.0/24`. */
export function entryOfWord(word: string, words: EntryWords | 'address only'): EntryBody {
  const exception = word.startsWith('!');
  const address = exception ? word.slice(1) : word;
  if (words === 'address only') return { address };
  return { ...words, address, ...(exception && { not: true }) };
}

const maxLineLength = 4096;

/** The entries of a text (see the help of `table add`), each as a line for the API. */
export async function* entriesFrom(
  text: AsyncIterable<Uint8Array | string>,
  words: EntryWords | 'address only',
  now: () => number,
): AsyncGenerator<string> {
  let chunk = '';
  for await (const line of linesOf(text)) {
    for (const entry of entriesOfLine(line, words, now)) chunk += `${JSON.stringify(entry)}\n`;
    if (chunk.length < 16_384) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}

function entriesOfLine(line: string, words: EntryWords | 'address only', now: () => number): EntryBody[] {
  if (line.startsWith('{')) return shownAgain(line, words, now);
  const [content = ''] = line.split('#', 1);
  return content
    .replace(/(^|\s)not\s+/g, '$1!')
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => entryOfWord(word, words));
}

/** An entry that `show --json` printed keeps what is left of its time; one whose time is over is left out. */
function shownAgain(line: string, words: EntryWords | 'address only', now: () => number): EntryBody[] {
  const { address, not, expiresAt, comment } = parse(line);
  if (words === 'address only') return [{ address }];
  const leftMs = expiresAt === undefined ? undefined : Date.parse(expiresAt) - now();
  if (leftMs !== undefined && leftMs < 1) return [];
  return [
    {
      address,
      ...(not === true && { not }),
      timeout: leftMs === undefined ? 'never' : `${leftMs}ms`,
      ...(comment !== undefined && { comment }),
      ...words,
    },
  ];
}

function parse(line: string): ShownEntry {
  try {
    return JSON.parse(line) as ShownEntry;
  } catch (cause) {
    throw new PosternError('invalid', `standard input: ${line.slice(0, 80)} is not JSON`, { cause });
  }
}

async function* linesOf(text: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of text) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n');
    rest = lines.pop()!;
    yield* lines;
    if (rest.length > maxLineLength) {
      throw new PosternError('too-large', `standard input: a line is longer than ${maxLineLength} characters`);
    }
  }
  if (rest !== '') yield rest;
}

/** One line; `plain`: what can be typed again. */
export function showLine(entry: ShownEntry, form: 'plain' | 'full', now: number): string {
  const address = `${entry.not === true ? '!' : ''}${entry.address}`;
  if (form === 'plain') return `${address}\n`;
  const facts = [
    entry.expiresAt === undefined ? 'permanent' : `expires in ${roughly(Date.parse(entry.expiresAt) - now)}`,
    `by ${entry.source.kind} ${entry.source.id}`,
    ...(entry.packets === undefined ? [] : [`${entry.packets} packets, ${entry.bytes} bytes`]),
    ...(entry.comment === undefined ? [] : [`# ${entry.comment}`]),
  ];
  return `${address.padEnd(20)} ${facts.join('  ')}\n`;
}
