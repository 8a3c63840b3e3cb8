/** Whether the store has room for more, after what nobody needs any more is forgotten. */

import { PosternError } from '../errors.js';
import type { DurableLog } from './durable-log.js';
import type { State } from './state.js';
import type { Sweeper } from './sweeper.js';

export interface Bounds {
  /** Registers of all tables together, deletes included. */
  readonly maxEntries: number;
  readonly maxTables: number;
  /** Values of all spaces together. */
  readonly maxValues: number;
  /** Deletes and expired entries that are kept just in case. */
  readonly maxDead: number;
  /** A snapshot ends the journals when they hold so much more than the last one. */
  readonly journalBytes: number;
}

export const defaultBounds: Bounds = {
  maxEntries: 2_000_000,
  maxTables: 4_096,
  maxValues: 200_000,
  maxDead: 200_000,
  journalBytes: 32 * 1024 * 1024,
};

export class Room {
  constructor(
    private readonly state: State,
    private readonly log: Pick<DurableLog, 'checkRoom'>,
    private readonly sweeper: Pick<Sweeper, 'sweepAll'>,
    private readonly bounds: Bounds,
  ) {}

  /**
   * @param more records that are to come
   * @throws PosternError `full`, `busy`; nothing was changed.
   */
  check(more: number, wallMs: number): void {
    this.log.checkRoom();
    if (this.#holds(more)) return;
    this.sweeper.sweepAll(wallMs);
    if (this.#holds(more)) return;
    const { maxEntries, maxValues, maxTables } = this.bounds;
    throw new PosternError(
      'full',
      `the store holds ${maxEntries} entries, ${maxValues} values or ${maxTables} tables; delete some`,
    );
  }

  #holds(more: number): boolean {
    const { maxEntries, maxValues, maxTables } = this.bounds;
    const { entries, tombstones, values } = this.state.counts;
    return entries + tombstones + more <= maxEntries && values + more <= maxValues && this.state.tableCount < maxTables;
  }
}
