/** Everything the store knows, in memory: a join of registers. No clock and no IO; the store around it brings both. */

import { Interned } from './interned.js';
import { isLater } from './join.js';
import { MarkSet } from './mark-set.js';
import { PackedTable, type Texts } from './packed-table.js';
import type { EntryRegister, EntryRun, MarkRegister, Register, Space, Stamp, ValueRegister } from './register.js';

/** Deletes and expired entries are kept so much longer: clocks differ, and one that was put forward comes back. */
export const clockSlackMs = 3_600_000;
/** How long the delete of a permanent entry is kept. */
export const horizonMs = 30 * 86_400_000;

export class State {
  readonly #texts: Texts = { comments: new Interned(), origins: new Interned(), nodes: new Interned() };
  readonly #tables = new Map<string, PackedTable>();
  /** Records that come together are mostly of one table. */
  #lastTable: PackedTable | undefined;
  readonly #values = new Map<Space, Map<string, ValueRegister>>();
  readonly #marks = new Map<string, MarkSet>();
  #latest: Stamp = 0;

  /** The latest stamp in any register. */
  get latest(): Stamp {
    return this.#latest;
  }

  /** Joins a register; true when it is the last word now. */
  join(register: Exclude<Register, MarkRegister>): boolean {
    if (register.at > this.#latest) this.#latest = register.at;
    if (register.kind === 'entry') return this.openTable(register.table).join(register);
    if (register.kind === 'flush') return this.openTable(register.table).joinFlush(register);
    let space = this.#values.get(register.space);
    if (space === undefined) {
      space = new Map();
      this.#values.set(register.space, space);
    }
    const known = space.get(register.key);
    if (known !== undefined && !isLater(register, known)) return false;
    space.set(register.key, register);
    return true;
  }

  /** Joins entries that nobody's can be later than; answers what was known before about the same prefixes. */
  exchange(run: EntryRun): readonly EntryRegister[] {
    this.#latest = run.at + run.prefixes.length - 1;
    return this.openTable(run.table).exchange(run);
  }

  get tableCount(): number {
    return this.#tables.size;
  }

  tables(): Iterable<PackedTable> {
    return this.#tables.values();
  }

  table(name: string): PackedTable | undefined {
    return this.#tables.get(name);
  }

  openTable(name: string): PackedTable {
    if (this.#lastTable?.name === name) return this.#lastTable;
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = new PackedTable(name, this.#texts);
      this.#tables.set(name, table);
    }
    this.#lastTable = table;
    return table;
  }

  value(space: Space, key: string): ValueRegister | undefined {
    return this.#values.get(space)?.get(key);
  }

  values(space: Space): Iterable<ValueRegister> {
    return this.#values.get(space)?.values() ?? [];
  }

  marks(protocol: string): MarkSet {
    let marks = this.#marks.get(protocol);
    if (marks === undefined) {
      marks = new MarkSet();
      this.#marks.set(protocol, marks);
    }
    return marks;
  }

  expireMarks(wallMs: number, steadyMs: number): void {
    for (const marks of this.#marks.values()) marks.expire(wallMs, steadyMs);
  }

  /** Everything there is, as registers. Changes may come while it runs: the result joined with them is right. */
  *registers(): Generator<Register> {
    for (const space of this.#values.values()) yield* space.values();
    for (const table of this.#tables.values()) {
      if (table.flush !== undefined) yield table.flush;
      yield* table.registers();
    }
    for (const [protocol, set] of this.#marks) {
      for (const [mark, expiresAt] of set.marks()) yield { kind: 'mark', protocol, mark, expiresAt };
    }
  }

  /** Moves every expiry by what `shift` answers for a stamp, in milliseconds. */
  moveExpiries(shift: (at: Stamp) => number): void {
    for (const table of this.#tables.values()) table.moveExpiries(shift);
    for (const space of this.#values.values()) {
      for (const [key, value] of space) {
        if (value.expiresAt === undefined) continue;
        space.set(key, { ...value, expiresAt: Math.max(1, value.expiresAt + shift(value.at)) });
      }
    }
  }

  /** Forgets values that nobody needs any more; returns how many. */
  sweepValues(nowMs: number): number {
    let swept = 0;
    for (const space of this.#values.values()) {
      for (const [key, { at, expiresAt, value }] of space) {
        if (!isForgettable(nowMs, at, expiresAt ?? Number.POSITIVE_INFINITY, value === undefined, clockSlackMs))
          continue;
        space.delete(key);
        swept++;
      }
    }
    return swept;
  }

  get counts(): Counts {
    let registers = 0;
    let tombstones = 0;
    for (const table of this.#tables.values()) {
      registers += table.size;
      tombstones += table.deleted;
    }
    let values = 0;
    for (const space of this.#values.values()) values += space.size;
    let marks = 0;
    for (const set of this.#marks.values()) marks += set.size;
    return { entries: registers - tombstones, tombstones, values, marks };
  }
}

export interface Counts {
  readonly entries: number;
  readonly tombstones: number;
  readonly values: number;
  readonly marks: number;
}

/**
 * Whether a register may be dropped: no stale copy of what it contradicts can still be alive, and no clock that comes
 * back can revive it.
 */
export function isForgettable(nowMs: number, at: Stamp, expiresAt: number, deleted: boolean, slackMs: number): boolean {
  if (nowMs > expiresAt + slackMs) return true;
  return deleted && expiresAt === Number.POSITIVE_INFINITY && nowMs > at / 1000 + horizonMs;
}
