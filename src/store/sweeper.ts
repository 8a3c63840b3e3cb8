/** Forgets what has expired, a little at a time: a step stays under a millisecond or so however much there is. */

import { clockSlackMs, isForgettable, type State } from './state.js';

const recordsPerStep = 2_000;
/** A round over a large table takes at most so many steps. */
const stepsPerTable = 240;

export class Sweeper {
  #table: string | undefined;
  #place = 0;
  /** Deletes and expired entries that this round has met and kept. */
  #dead = 0;
  #deadLastRound = 0;

  /** @param maxDead deletes and expired entries that are kept just in case */
  constructor(
    private readonly state: State,
    private readonly maxDead: number,
  ) {}

  /** One step; returns how many registers were forgotten. */
  step(nowMs: number): number {
    const table = this.#table === undefined ? undefined : this.state.table(this.#table);
    if (table === undefined || this.#place >= table.extent) return this.#nextTable(nowMs);
    const to = this.#place + Math.max(recordsPerStep, Math.ceil(table.extent / stepsPerTable));
    const swept = table.removeWhere(this.#test(nowMs), this.#place, Math.min(to, table.extent));
    this.#place = to;
    return swept;
  }

  /** Everything at once, keeping nothing just in case: when there is no room. */
  sweepAll(nowMs: number): number {
    let swept = this.state.sweepValues(nowMs);
    for (const table of this.state.tables()) {
      swept += table.removeWhere((_at, expiresAt, deleted) => deleted || expiresAt < nowMs);
    }
    return swept;
  }

  #test(nowMs: number): (at: number, expiresAt: number, deleted: boolean) => boolean {
    const tooMany = this.#deadLastRound > this.maxDead;
    return (at, expiresAt, deleted) => {
      const dead = deleted || expiresAt < nowMs;
      if (dead && tooMany) return true;
      if (isForgettable(nowMs, at, expiresAt, deleted, clockSlackMs)) return true;
      if (dead) this.#dead++;
      return false;
    };
  }

  #nextTable(nowMs: number): number {
    const names = [...this.state.tables()].map(({ name }) => name);
    this.#table = names[this.#table === undefined ? 0 : names.indexOf(this.#table) + 1];
    this.#place = 0;
    if (this.#table !== undefined) return 0;
    this.#deadLastRound = this.#dead;
    this.#dead = 0;
    return this.state.sweepValues(nowMs);
  }
}
