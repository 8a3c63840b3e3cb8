/** Counts what happens, for metrics. */

import type { EngineMetrics, TableFill } from './engine.js';
import { families, type LiveTable } from './entries/live-table.js';
import type { ChangeCount, Source } from './tables.js';

type Op = EngineMetrics['changes'][number]['op'];

export class EngineCounters {
  readonly #changes = new Map<string, { table: string; source: Source['kind']; op: Op; count: number }>();
  readonly #expired = new Map<string, number>();
  readonly #full = new Map<string, number>();
  readonly #drift = { found: 0, repaired: 0, failed: 0, repairMs: 0 };

  /** @param source absent: expiry, which is counted apart */
  changed(table: string, source: Source['kind'] | undefined, { added, changed, deleted }: ChangeCount): void {
    if (source === undefined) return;
    this.#count(table, source, 'add', added);
    this.#count(table, source, 'change', changed);
    this.#count(table, source, 'delete', deleted);
  }

  expired(table: string, count: number): void {
    this.#expired.set(table, (this.#expired.get(table) ?? 0) + count);
  }

  full(table: string): void {
    this.#full.set(table, (this.#full.get(table) ?? 0) + 1);
  }

  drift(what: 'found' | 'repaired' | 'failed', repairMs = 0): void {
    this.#drift[what]++;
    this.#drift.repairMs += repairMs;
  }

  metrics(
    tables: Iterable<LiveTable>,
    { policy, overflows, missingDevices }: Pick<EngineMetrics, 'policy' | 'overflows' | 'missingDevices'>,
  ): EngineMetrics {
    const counted = (counts: ReadonlyMap<string, number>) => Array.from(counts, ([table, count]) => ({ table, count }));
    return {
      fills: [...tables].flatMap(fillsOf),
      changes: [...this.#changes.values()].map((change) => ({ ...change })),
      expired: counted(this.#expired),
      full: counted(this.#full),
      overflows,
      drift: { ...this.#drift },
      missingDevices,
      policy,
    };
  }

  #count(table: string, source: Source['kind'], op: Op, count: number): void {
    if (count === 0) return;
    const key = `${table} ${source} ${op}`;
    const known = this.#changes.get(key);
    if (known === undefined) this.#changes.set(key, { table, source, op, count });
    else known.count += count;
  }
}

function fillsOf({ name, plan: { size }, entries }: LiveTable): TableFill[] {
  return families.flatMap((family): TableFill[] => [
    { table: name, tier: 'hosts', family, elements: entries[family].hosts, size },
    { table: name, tier: 'prefixes', family, elements: entries[family].pieces, size },
  ]);
}
