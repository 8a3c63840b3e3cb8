/** What a store answers of its state: everything is in memory, and what has expired isn't there. */

import type { Prefix } from '../net/address.js';
import { type TableDigest, tableDigest } from './digest.js';
import type { EntryRegister, Register, Space, ValueRegister } from './register.js';
import type { State } from './state.js';
import type { KeptValue, LiveEntry } from './store.js';
import type { StoreClock } from './system-clock.js';

export class KeptState {
  constructor(
    readonly state: State,
    readonly clock: StoreClock,
  ) {}

  tables(): string[] {
    return [...this.state.tables()].filter((table) => table.size > table.deleted).map(({ name }) => name);
  }

  *entries(table: string): Generator<LiveEntry> {
    for (const entry of this.state.table(table)?.registers() ?? []) if (this.#isLive(entry)) yield entry;
  }

  entry(table: string, prefix: Prefix): LiveEntry | undefined {
    const entry = this.lastWord(table, prefix);
    return entry !== undefined && this.#isLive(entry) ? entry : undefined;
  }

  lastWord(table: string, prefix: Prefix): EntryRegister | undefined {
    return this.state.table(table)?.get(prefix);
  }

  registers(): Iterable<Register> {
    return this.state.registers();
  }

  digest(table: string, salt: string, expiredBy: number): TableDigest {
    return tableDigest(this.state.table(table)?.registers() ?? [], salt, expiredBy);
  }

  value(space: Space, key: string): KeptValue | undefined {
    return this.#keptValue(this.state.value(space, key));
  }

  *values(space: Space): Generator<readonly [key: string, KeptValue]> {
    for (const register of this.state.values(space)) {
      const kept = this.#keptValue(register);
      if (kept !== undefined) yield [register.key, kept];
    }
  }

  #isLive(entry: EntryRegister): entry is LiveEntry {
    return entry.op === 'add' && this.#isFresh(entry.expiresAt);
  }

  #keptValue(register: ValueRegister | undefined): KeptValue | undefined {
    if (register?.value === undefined || !this.#isFresh(register.expiresAt)) return undefined;
    const { value, expiresAt } = register;
    return expiresAt === undefined ? { value } : { value, expiresAt };
  }

  #isFresh(expiresAt: number | undefined): boolean {
    return expiresAt === undefined || expiresAt > this.clock.wallMs();
  }
}
