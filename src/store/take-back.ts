/** Takes back what was said: when the kernel refuses it, or when a crash cut a request of several changes short. */

import { prefixKey } from './prefix-key.js';
import { type EntryRegister, type Register, registersOf, type Stamp } from './register.js';
import type { Stamped, Word } from './say.js';
import type { State } from './state.js';
import type { Draft } from './store.js';

/** A word about one thing, or a flush. */
export interface SingleWord extends Word {
  readonly register: Stamped;
}

/**
 * Takes words back, the last one first, as further wishes; what somebody else said since stays as it is.
 * @param join joins a wish at once, so that the next one is worked out from what it leaves
 */
export function takeBack(words: readonly Word[], state: State, join: (draft: Draft) => void): void {
  const stand = new Map<string, Stamp | undefined>();
  for (const { register, before } of words.toReversed()) {
    const single =
      register.kind === 'run' ? pairUp([...registersOf(register)], before).toReversed() : [{ register, before }];
    for (const one of single) for (const draft of undoOf(one, state, stand)) join(draft);
  }
}

/** @param stand stamps of the words for which those stand that were joined in their place; undefined: for none */
function undoOf({ register, before }: SingleWord, state: State, stand: Map<string, Stamp | undefined>): Draft[] {
  /** Is this still the last word about its thing? Undefined: is nothing? */
  const isLast = (about: Stamped, at: Stamp | undefined): boolean =>
    (stand.has(keyOf(about)) ? stand.get(keyOf(about)) : lastStamp(about, state)) === at;
  if (register.kind === 'flush') {
    return before.flatMap((old) => {
      if (old.kind !== 'entry' || !isLast(old, undefined)) return [];
      stand.set(keyOf(old), old.at);
      return old.op === 'add' ? [asDraft(old)] : [];
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
  if (old?.kind === 'entry' && old.op === 'add') return [asDraft(old)];
  return [{ kind: 'entry', op: 'delete', table, prefixes: [prefix], origin }];
}

function asDraft({ table, prefix, not, expiresAt, comment, origin }: EntryRegister): Draft {
  return { kind: 'entry', op: 'add', table, prefixes: [prefix], not, expiresAt, comment, origin };
}

function lastStamp(about: Stamped, state: State): Stamp | undefined {
  if (about.kind === 'value') return state.value(about.space, about.key)?.at;
  return about.kind === 'flush' ? undefined : state.table(about.table)?.get(about.prefix)?.at;
}

/** Brings words together again with what was known before; what a flush took goes with the flush. */
export function pairUp(registers: readonly Register[], before: readonly Register[]): SingleWord[] {
  const known = new Map<string, Stamped[]>();
  for (const register of before) {
    if (register.kind === 'mark') continue;
    const list = known.get(keyOf(register)) ?? [];
    list.push(register);
    known.set(keyOf(register), list);
  }
  const words: SingleWord[] = [];
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

function keyOf(about: Stamped): string {
  if (about.kind === 'value') return `value ${about.space} ${about.key}`;
  return about.kind === 'flush' ? `flush ${about.table}` : `entry ${about.table} ${prefixKey(about.prefix)}`;
}
