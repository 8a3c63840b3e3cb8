/** From wishes to registers, and back: what a client sends is bounded and clean before it gets a stamp. */

import { PosternError } from '../errors.js';
import { maxPayloadBytes } from './frame.js';
import { prefixKey } from './prefix-key.js';
import type { EntryRegister, FlushRegister, Register, Stamp, ValueRegister } from './register.js';
import type { State } from './state.js';
import type { Draft } from './store.js';

export type Stamped = EntryRegister | FlushRegister | ValueRegister;

/** Bytes of UTF-8. */
const textBounds = { table: 64, comment: 127, 'name of the source': 255, key: 255, value: 16 * 1024 * 1024 } as const;
const unprintable = /[\p{Cc}\u2028\u2029]/u;
/** More than any register has beside its texts. */
const fixedBytes = 80;

/**
 * Checks all wishes of one change.
 * @throws PosternError `invalid`: a text is too long or holds control characters; `full`: too much for one change.
 */
export function checkDrafts(drafts: readonly Draft[]): void {
  let bytes = 0;
  let texts = 0;
  let before: Draft | undefined;
  for (const draft of drafts) {
    if (draft.kind === 'value') texts = checkValue(draft);
    else if (before === undefined || !hasSameTexts(draft, before)) texts = checkTexts(draft);
    before = draft;
    bytes += fixedBytes + texts;
    if ('expiresAt' in draft) checkTime(draft.expiresAt);
  }
  if (bytes > maxPayloadBytes) {
    throw new PosternError('full', `one change of ${drafts.length} records is too large; make it in parts`);
  }
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

/** Undefined when there is nothing to do: a delete of what isn't there. */
function entryFor(
  draft: Draft & { kind: 'entry' },
  state: State,
  stamp: () => Stamp,
  node: string,
): EntryRegister | undefined {
  // All properties by name and always the same ones: this is done for every change, and spreading takes ten times as long.
  const { kind, op, table, prefix, origin } = draft;
  if (op === 'add') {
    const { not = false, expiresAt, comment } = draft;
    return { kind, table, prefix, op, not, at: stamp(), node, origin, expiresAt, comment };
  }
  const known = state.table(table)?.get(prefix);
  if (known === undefined || known.op === 'delete') return undefined;
  const { not, expiresAt } = known;
  return { kind, table, prefix, op, not, at: stamp(), node, origin, expiresAt, comment: undefined };
}

/** A register that was joined, and what was known before about the things it is about. */
export interface Word {
  readonly register: Stamped;
  readonly before: readonly Stamped[];
}

/** Stamps and joins a wish; undefined when there is nothing to do. */
export function say(draft: Draft, state: State, stamp: () => Stamp, node: string): Word | undefined {
  if (draft.kind === 'entry') {
    const register = entryFor(draft, state, stamp, node);
    return register && { register, before: justOne(state.exchange(register)) };
  }
  const at = stamp();
  if (draft.kind === 'flush') {
    const { kind, table, origin } = draft;
    const register: FlushRegister = { kind, table, origin, at, node };
    const before = [...(state.table(table)?.registers() ?? [])];
    state.join(register);
    return { register, before };
  }
  const { kind, space, key, value, expiresAt } = draft;
  const register: ValueRegister = { kind, space, key, value, expiresAt, at, node };
  const before = justOne(state.value(space, key));
  state.join(register);
  return { register, before };
}

const nothing: readonly Stamped[] = [];

function justOne(register: Stamped | undefined): readonly Stamped[] {
  return register === undefined ? nothing : [register];
}

/**
 * Takes words back, the last one first, as further wishes; what somebody else said since stays as it is.
 * @param join joins a wish at once, so that the next one is worked out from what it leaves
 */
export function takeBack(words: readonly Word[], state: State, join: (draft: Draft) => void): void {
  const stand = new Map<string, Stamp | undefined>();
  for (const { register, before } of words.toReversed()) {
    for (const draft of undoOf(register, before, state, stand)) join(draft);
  }
}

/** @param stand stamps of the words for which those stand that were joined in their place; undefined: for none */
function undoOf(
  register: Stamped,
  before: readonly Stamped[],
  state: State,
  stand: Map<string, Stamp | undefined>,
): Draft[] {
  /** Is this still the last word about its thing? Undefined: is nothing? */
  const isLast = (about: Stamped, at: Stamp | undefined): boolean =>
    (stand.has(keyOf(about)) ? stand.get(keyOf(about)) : lastStamp(about, state)) === at;
  if (register.kind === 'flush') {
    return before.flatMap((old) => {
      if (old.kind !== 'entry' || !isLast(old, undefined)) return [];
      stand.set(keyOf(old), old.at);
      return old.op === 'add' ? [{ ...old, op: 'add' as const }] : [];
    });
  }
  if (!isLast(register, register.at)) return [];
  const [old] = before;
  stand.set(keyOf(register), old?.at);
  if (register.kind === 'value') {
    const { space, key } = register;
    return [old?.kind === 'value' ? old : { kind: 'value', space, key }];
  }
  const { table, prefix, origin } = register;
  if (old?.kind === 'entry' && old.op === 'add') return [{ ...old, op: 'add' }];
  return [{ kind: 'entry', op: 'delete', table, prefix, origin }];
}

function lastStamp(about: Stamped, state: State): Stamp | undefined {
  if (about.kind === 'value') return state.value(about.space, about.key)?.at;
  return about.kind === 'flush' ? undefined : state.table(about.table)?.get(about.prefix)?.at;
}

/** Brings words together again with what was known before; what a flush took goes with the flush. */
export function pairUp(registers: readonly Register[], before: readonly Register[]): Word[] {
  const known = new Map<string, Stamped[]>();
  for (const register of before) {
    if (register.kind === 'mark') continue;
    const list = known.get(keyOf(register)) ?? [];
    list.push(register);
    known.set(keyOf(register), list);
  }
  const words: Word[] = [];
  for (const register of registers) {
    if (register.kind === 'mark') continue;
    if (register.kind === 'flush') {
      const of = [...known.values()].flat().filter((old) => old.kind === 'entry' && old.table === register.table);
      words.push({ register, before: of.filter(({ at }) => at < register.at) });
    } else {
      words.push({
        register,
        before: (known.get(keyOf(register)) ?? []).filter(({ at }) => at < register.at).slice(-1),
      });
    }
  }
  return words;
}

function keyOf(about: Draft | Stamped): string {
  if (about.kind === 'value') return `value ${about.space} ${about.key}`;
  return about.kind === 'flush' ? `flush ${about.table}` : `entry ${about.table} ${prefixKey(about.prefix)}`;
}
