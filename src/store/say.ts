/** From wishes to registers: each gets its stamp and is joined. */

import type { Stamps } from './hybrid-clock.js';
import type { EntryRegister, EntryRun, FlushRegister, ValueRegister } from './register.js';
import type { State } from './state.js';
import type { Draft } from './store.js';

export type Stamped = EntryRegister | FlushRegister | ValueRegister;

/** A register or a run of them that was joined, and what was known before about the things it is about. */
export interface Word {
  readonly register: Stamped | EntryRun;
  readonly before: readonly Stamped[];
}

const nothing: readonly never[] = [];

/** Stamps and joins a wish; no word when there is nothing to do. */
export function say(draft: Draft, state: State, stamps: Stamps, node: string): readonly Word[] {
  if (draft.kind === 'entry') {
    if (draft.prefixes.length === 0) return nothing;
    return draft.op === 'add' ? [sayAdd(draft, state, stamps, node)] : sayDelete(draft, state, stamps, node);
  }
  const at = stamps();
  if (draft.kind === 'flush') {
    const { kind, table, origin } = draft;
    const register: FlushRegister = { kind, table, origin, at, node };
    const before = [...(state.table(table)?.registers() ?? [])];
    state.join(register);
    return [{ register, before }];
  }
  const { kind, space, key, value, expiresAt } = draft;
  const register: ValueRegister = { kind, space, key, value, expiresAt, at, node };
  const known = state.value(space, key);
  state.join(register);
  return [{ register, before: known === undefined ? nothing : [known] }];
}

function sayAdd(draft: Draft & { kind: 'entry'; op: 'add' }, state: State, stamps: Stamps, node: string): Word {
  // All properties by name and always the same ones: this is done for every change, and spreading takes ten times as long.
  const { table, prefixes, not = false, expiresAt, comment, origin } = draft;
  const at = stamps(prefixes.length);
  const register: EntryRun = { kind: 'run', table, prefixes, not, at, node, origin, expiresAt, comment };
  return { register, before: state.exchange(register) };
}

/** A delete keeps the expiry of what it deletes. Of what isn't there nothing has to be said. */
function sayDelete(draft: Draft & { kind: 'entry' }, state: State, stamps: Stamps, node: string): readonly Word[] {
  const { kind, op, table, prefixes, origin } = draft;
  const words: Word[] = [];
  for (const prefix of prefixes) {
    const known = state.table(table)?.get(prefix);
    if (known === undefined || known.op === 'delete') continue;
    const { not, expiresAt } = known;
    const at = stamps();
    const register: EntryRegister = { kind, table, prefix, op, not, at, node, origin, expiresAt, comment: undefined };
    state.join(register);
    words.push({ register, before: [known] });
  }
  return words;
}
