/** Newline-delimited JSON in and out, in bounded memory: what isn't consumed isn't read, what isn't taken isn't made. */

import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { PosternError } from '../errors.js';

export const ndjsonType = 'application/x-ndjson';

/** Longer than any entry; what goes beyond it isn't a list of entries. */
const maxLineLength = 4096;

/** Characters that are handed to the socket at once. */
const chunkLength = 16_384;

export interface Line {
  /** Counts from 1. */
  readonly number: number;
  readonly value: unknown;
}

/**
 * The values of the lines, as many at a time as have come; empty lines are skipped. To await each line would take as long
 * as to read it.
 * @throws PosternError `usage` for a line that isn't JSON, `too-large` for one that is too long; when the lines before it
 *   were taken.
 */
export async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Iterable<Line>> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let number = 1;
  for await (const chunk of body) {
    const lines = (rest + decoder.write(Buffer.from(chunk))).split('\n');
    rest = lines.pop()!;
    if (lines.length > 0) yield values(lines, number);
    number += lines.length;
    checkLength(rest, number);
  }
  rest += decoder.end();
  if (rest !== '') yield values([rest], number);
}

function* values(lines: readonly string[], first: number): Generator<Line> {
  for (const [index, text] of lines.entries()) {
    const number = first + index;
    checkLength(text, number);
    if (text.trim() !== '') yield { number, value: parseLine(text, number) };
  }
}

function checkLength(line: string, number: number): void {
  if (line.length <= maxLineLength) return;
  throw new PosternError(
    'too-large',
    `line ${number} is longer than ${maxLineLength} characters; write one entry a line`,
  );
}

function parseLine(text: string, number: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PosternError('usage', `line ${number} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** A stream of the pieces joined into larger chunks; the next one is made when the last was taken. */
export function streamOf(pieces: Iterable<string>): Readable {
  return Readable.from(chunks(pieces), { objectMode: false, highWaterMark: 2 * chunkLength });
}

function* chunks(pieces: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
