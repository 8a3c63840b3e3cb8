/** The join: which of two registers about the same thing is the last word. */

import type { EntryRegister, FlushRegister, Stamp, ValueRegister } from './register.js';

interface Stamped {
  readonly at: Stamp;
  readonly node: string;
}

/**
 * True when `a` is a later word than `b`: by stamp, then by node name. Two different registers with the same stamp of the
 * same node (a copied node name, an expiry moved by a clock step) are ordered by what they say, so that the join stays commutative.
 */
export function isLater<T extends Stamped & (EntryRegister | FlushRegister | ValueRegister)>(a: T, b: T): boolean {
  if (a.at !== b.at) return a.at > b.at;
  if (a.node !== b.node) return a.node > b.node;
  return content(a) > content(b);
}

function content(register: EntryRegister | FlushRegister | ValueRegister): string {
  if (register.kind === 'flush') return JSON.stringify(register.origin);
  const expiry = String(register.expiresAt ?? '~').padStart(17, '0');
  if (register.kind === 'value') return `${expiry} ${JSON.stringify(register.value)}`;
  return `${expiry} ${register.op} ${register.not} ${JSON.stringify([register.comment, register.origin])}`;
}

/** Whether a table's flush covers an entry: a word with a stamp up to the flush's is gone. */
export function isFlushed(entry: Stamped, flush: Stamped | undefined): boolean {
  return flush !== undefined && entry.at <= flush.at;
}
