/** The words of nft text: names, literals, strings and durations. What could end a word early is refused here. */

import { PosternError } from '../errors.js';

/** The lexer takes more, and ours need no more; the length is the kernel's NFT_NAME_MAXLEN without the reserve of nft. */
const name = /^[A-Za-z_][A-Za-z0-9_-]{0,127}$/;
/** Numbers, addresses, prefixes, symbolic constants, `*` alone. */
const literal = /^(?:[A-Za-z0-9_.:/+-]+|\*)$/;

/** The name of a table, chain, set or object as it is. @throws PosternError `internal` when it is no identifier. */
export function identifier(text: string): string {
  if (!name.test(text)) throw new PosternError('internal', `nft: ${JSON.stringify(text)} can't name anything`);
  return text;
}

/** A value as it is. @throws PosternError `internal` when nft would read it as more than one word. */
export function word(text: string): string {
  if (!literal.test(text)) throw new PosternError('internal', `nft: ${JSON.stringify(text)} is no literal`);
  return text;
}

/** `@name`, the reference to a set. */
export function reference(text: string): string {
  return `@${identifier(text.slice(1))}`;
}

/**
 * A string in double quotes. nft knows no escapes in it: quotes, backslashes and control characters can't be written.
 * @throws PosternError `invalid` when they are there or when it is longer than `maxBytes` of UTF-8.
 */
export function quoted(text: string, maxBytes = 127): string {
  if (!isQuotable(text)) {
    throw new PosternError('invalid', `${JSON.stringify(text)}: leave out quotes, backslashes and control characters`);
  }
  if (Buffer.byteLength(text) > maxBytes) {
    throw new PosternError('invalid', `${JSON.stringify(text)}: at most ${maxBytes} bytes, please`);
  }
  return `"${text}"`;
}

const isQuotable = (text: string): boolean =>
  text !== '' && [...text].every((c) => c !== '"' && c !== '\\' && c >= ' ' && c !== '\x7f');

/**
 * A string that may come from anybody, in double quotes: what nft can't carry is replaced by what looks like it, what is
 * too long is cut.
 */
export function quotable(text: string, maxBytes = 127): string {
  let printable = '';
  let bytes = 0;
  for (const character of text) {
    const shown = lookalikes[character] ?? (character < ' ' || character === '\x7f' ? ' ' : character);
    bytes += Buffer.byteLength(shown);
    if (bytes > maxBytes) break;
    printable += shown;
  }
  return `"${printable || ' '}"`;
}

const lookalikes: Readonly<Record<string, string>> = { '"': "'", '\\': '/' };

/** A log prefix; nft would replace `$name` in it. */
export function logPrefix(text: string): string {
  if (text.includes('$')) throw new PosternError('invalid', `${JSON.stringify(text)}: leave out the $`);
  return quoted(text);
}

/** Milliseconds as nft writes them: `1d2h`, `300ms`, `0s`. */
export function duration(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0) throw new PosternError('internal', `nft: ${ms} ms is no timeout`);
  if (ms === 0) return '0s';
  let rest = ms;
  const parts: string[] = [];
  for (const [unit, size] of timeUnits) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.join('');
}

const timeUnits = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** A number of the kernel's u64 or less, in decimal. */
export function count(value: number | bigint): string {
  const valid = typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && value >= 0;
  if (!valid) throw new PosternError('internal', `nft: ${value} is no count`);
  return String(value);
}
