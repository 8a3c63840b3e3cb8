/** Tables in memory that tell what is in them at a time; they refuse what the engine refuses. */

import type { ChangeCount, Entry, Source, Tables } from '../../../src/engine/tables.js';
import { PosternError } from '../../../src/errors.js';
import type { Prefix } from '../../../src/net/address.js';
import { formatPrefix } from '../../../src/net/prefix.js';

const nothing: ChangeCount = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };

export class TableDouble implements Pick<Tables, 'add' | 'delete' | 'flush'> {
  /** Expiry by prefix, by table. */
  readonly #entries = new Map<string, Map<string, number>>();
  /** Every call as one line. */
  readonly calls: string[] = [];

  constructor(
    tables: Iterable<string>,
    readonly now: () => number,
    readonly size = Number.POSITIVE_INFINITY,
  ) {
    for (const table of tables) this.#entries.set(table, new Map());
  }

  /** `table prefix` of what is there now, sorted. */
  present(): string[] {
    return [...this.#entries]
      .flatMap(([table, entries]) =>
        [...entries].map(([prefix, expiresAt]) => ({ line: `${table} ${prefix}`, expiresAt })),
      )
      .filter(({ expiresAt }) => expiresAt > this.now())
      .map(({ line }) => line)
      .sort();
  }

  async add(table: string, entries: readonly Entry[], source: Source): Promise<ChangeCount> {
    this.calls.push(`add ${table} ${entries.map(({ prefix }) => formatPrefix(prefix)).join(' ')} by ${source.id}`);
    const held = this.#table(table);
    const added = new Set(entries.map(({ prefix }) => formatPrefix(prefix)).filter((text) => !held.has(text)));
    if (held.size + added.size > this.size) throw new PosternError('full', `table ${table} is full`);
    for (const { prefix, timeoutMs } of entries) {
      held.set(formatPrefix(prefix), timeoutMs ? this.now() + timeoutMs : Number.POSITIVE_INFINITY);
    }
    return { ...nothing, added: added.size, changed: entries.length - added.size };
  }

  async delete(table: string, prefixes: readonly Prefix[], source: Source): Promise<ChangeCount> {
    this.calls.push(`delete ${table} ${prefixes.map(formatPrefix).join(' ')} by ${source.id}`);
    const held = this.#table(table);
    const deleted = prefixes.filter((prefix) => held.delete(formatPrefix(prefix))).length;
    return { ...nothing, deleted, unchanged: prefixes.length - deleted };
  }

  async flush(table: string, source: Source): Promise<ChangeCount> {
    this.calls.push(`flush ${table} by ${source.id}`);
    const held = this.#table(table);
    const deleted = held.size;
    held.clear();
    return { ...nothing, deleted };
  }

  #table(name: string): Map<string, number> {
    const held = this.#entries.get(name);
    if (held === undefined) throw new PosternError('not-found', `there is no table ${name}`);
    return held;
  }
}
