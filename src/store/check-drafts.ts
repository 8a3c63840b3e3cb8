/** What a client sends is bounded and clean before it gets a stamp. */

import { PosternError } from '../errors.js';
import { maxPayloadBytes } from './frame.js';
import type { Draft } from './store.js';

/** Bytes of UTF-8. */
const textBounds = { table: 64, comment: 127, 'name of the source': 255, key: 255, value: 16 * 1024 * 1024 } as const;
const unprintable = /[\p{Cc}\u2028\u2029]/u;
/** More than any register has beside its texts. */
const fixedBytes = 80;

/**
 * Checks all wishes of one change; answers how many registers they make.
 * @throws PosternError `invalid`: a text is too long or holds control characters; `full`: too much for one change.
 */
export function checkDrafts(drafts: readonly Draft[]): number {
  let bytes = 0;
  let texts = 0;
  let registers = 0;
  let before: Draft | undefined;
  for (const draft of drafts) {
    if (draft.kind === 'value') texts = checkValue(draft);
    else if (before === undefined || !hasSameTexts(draft, before)) texts = checkTexts(draft);
    before = draft;
    const count = draft.kind === 'entry' ? draft.prefixes.length : 1;
    registers += count;
    bytes += count * (fixedBytes + texts);
    if ('expiresAt' in draft) checkTime(draft.expiresAt);
  }
  if (bytes > maxPayloadBytes) {
    throw new PosternError('full', `one change of ${registers} records is too large; make it in parts`);
  }
  return registers;
}

function checkTexts(draft: Exclude<Draft, { kind: 'value' }>): number {
  const comment = draft.kind === 'entry' && draft.op === 'add' ? draft.comment : undefined;
  return (
    checkText('table', draft.table) +
    checkText('name of the source', draft.origin.id) +
    (comment === undefined ? 0 : checkText('comment', comment))
  );
}

/** What comes in one change mostly says the same of several prefixes. */
function hasSameTexts(a: Draft, b: Draft): boolean {
  if (a.kind !== 'entry' || b.kind !== 'entry' || a.op !== b.op || a.table !== b.table) return false;
  return a.origin === b.origin && (a.op === 'delete' || b.op === 'delete' || a.comment === b.comment);
}

function checkValue(draft: Draft & { kind: 'value' }): number {
  const key = checkText('key', draft.key);
  return draft.value === undefined ? key : key + checkLength('value', Buffer.byteLength(JSON.stringify(draft.value)));
}

function checkTime(ms: number | undefined): void {
  if (ms === undefined || (Number.isSafeInteger(ms) && ms > 0 && ms < 2 ** 48)) return;
  throw new PosternError('invalid', `${ms} is no time of expiry; it is in whole milliseconds since the epoch`);
}

/** Bytes of texts that were found to be printable: names come again and again. */
const printable = new Map<string, number>();
const maxPrintable = 1_000;
const longestPrintable = 255;

function checkText(what: keyof typeof textBounds, text: string): number {
  let bytes = printable.get(text);
  if (bytes === undefined) {
    if (unprintable.test(text)) {
      throw new PosternError('invalid', `the ${what} ${JSON.stringify(text)} holds control characters; leave them out`);
    }
    bytes = Buffer.byteLength(text);
    if (printable.size >= maxPrintable) printable.clear();
    if (bytes <= longestPrintable) printable.set(text, bytes);
  }
  return checkLength(what, bytes);
}

function checkLength(what: keyof typeof textBounds, bytes: number): number {
  const bound = textBounds[what];
  if (bytes > bound) throw new PosternError('invalid', `the ${what} has ${bytes} bytes; at most ${bound} are kept`);
  return bytes;
}
