/**
 * What the store keeps are registers: the last word of a writer about one thing. Two registers about the same thing
 * join by the later stamp, so that any two copies of the state can be merged in any order, any number of times.
 */

import type { Prefix } from '../net/address.js';

/** Microseconds since the epoch on the hybrid clock: never goes back, and a node gives each stamp once. */
export type Stamp = number;

/** Who asked for a change; kept with the entry and written to the audit log. */
export interface Origin {
  readonly kind: 'cli' | 'rest' | 'pftabled' | 'blacklistd' | 'knock' | 'scan' | 'rule' | 'import' | 'policy';
  /** Peer address, user or client name. */
  readonly id: string;
}

interface Stamped {
  readonly at: Stamp;
  /** Name of the writing node, `[a-z0-9-]{1,32}`: breaks ties. */
  readonly node: string;
}

/** One address or prefix of a table. `delete` stays, with the expiry of what it deleted, until no stale copy can be alive. */
export interface EntryRegister extends Stamped {
  readonly kind: 'entry';
  readonly table: string;
  readonly prefix: Prefix;
  readonly op: 'add' | 'delete';
  /** An exception: addresses in it are not in the table, unless a longer prefix says so. */
  readonly not: boolean;
  /** Milliseconds since the epoch; absent: never. */
  readonly expiresAt?: number;
  readonly comment?: string;
  readonly origin: Origin;
}

/**
 * Entries that were added by one word, as they are joined and written: all say the same, and the stamp of each follows that
 * of the one before it. To make an object of each takes as long as to join and to write it.
 */
export interface EntryRun extends Omit<EntryRegister, 'kind' | 'prefix' | 'op'> {
  readonly kind: 'run';
  readonly prefixes: readonly Prefix[];
}

/** The registers of a run, one by one. */
export function* registersOf(run: EntryRun): Generator<EntryRegister> {
  const { prefixes, at: first, ...terms } = run;
  for (const [i, prefix] of prefixes.entries()) yield { ...terms, kind: 'entry', op: 'add', prefix, at: first + i };
}

/** Every entry of the table with a stamp up to this one is gone. */
export interface FlushRegister extends Stamped {
  readonly kind: 'flush';
  readonly table: string;
  readonly origin: Origin;
}

/** What the spaces of values hold; each key is one register. */
export type Space =
  | 'knock'
  | 'quota'
  | 'condition'
  | 'account'
  /** Highest number taken from a signed protocol that counts. */
  | 'sequence';

export interface ValueRegister extends Stamped {
  readonly kind: 'value';
  readonly space: Space;
  readonly key: string;
  /** JSON; absent: deleted. */
  readonly value?: Json;
  /** Milliseconds since the epoch; absent: never. */
  readonly expiresAt?: number;
}

/** A signed message that was taken and must not be taken again before `expiresAt`. Marks only accumulate: their join is the union. */
export interface MarkRegister {
  readonly kind: 'mark';
  readonly protocol: string;
  /** The first 16 bytes of a digest over the whole message. */
  readonly mark: Uint8Array;
  readonly expiresAt: number;
}

export type Register = EntryRegister | FlushRegister | ValueRegister | MarkRegister;

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };
