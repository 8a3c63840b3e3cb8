/** Compares what rules take with what recorded modules took, and reports how many rows it ran and which differences showed. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

/** A wanted difference, told from the row's own fields. */
export interface RowDifference<Case> {
  readonly reason: string;
  applies(row: Case): boolean;
  /** What we do instead; not compared when absent. */
  expected?(row: Case): unknown;
}

/** How many results tables have: one of each rule for each packet. */
export function resultsIn(
  tables: readonly { readonly rows: readonly { readonly hits: readonly unknown[] }[] }[],
): number {
  return tables.flatMap(({ rows }) => rows).reduce((sum, { hits }) => sum + hits.length, 0);
}

const failuresShown = 10;

export class RowRun<Case> {
  #ran = 0;
  #leftOut = 0;
  readonly #seen = new Map<string, number>();
  readonly #failures: string[] = [];

  constructor(private readonly differences: Readonly<Record<string, RowDifference<Case>>>) {}

  check(label: string, row: Case, found: unknown, recorded: unknown): void {
    this.#ran++;
    const [name, difference] = Object.entries(this.differences).find(([, one]) => one.applies(row)) ?? [];
    if (name !== undefined) this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1);
    if (difference !== undefined && difference.expected === undefined) return;
    const expected = difference === undefined ? recorded : difference.expected?.(row);
    if (isDeepStrictEqual(found, expected)) return;
    this.#failures.push(`${label}: we have ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }

  /** A row that can't be replayed here. */
  leaveOut(t: TestContext, label: string): void {
    this.#leftOut++;
    t.diagnostic(`not replayed: ${label}`);
  }

  /** @param rows how many the recording has */
  end(t: TestContext, rows: number): void {
    const differing = [...this.#seen.values()].reduce((sum, count) => sum + count, 0);
    const counts = [...this.#seen].map(([name, count]) => `${name}: ${count}`).join(', ');
    t.diagnostic(`compared ${this.#ran}, differs on purpose ${differing}${counts && ` (${counts})`}`);
    for (const name of this.#seen.keys()) t.diagnostic(`${name}: ${this.differences[name]!.reason}`);
    assert.ok(this.#ran > 0, 'nothing to compare');
    assert.equal(this.#ran + this.#leftOut, rows, 'each row is compared, differs on purpose or is left out');
    const more = this.#failures.length > failuresShown ? `\nand ${this.#failures.length - failuresShown} more` : '';
    assert.equal(this.#failures.length, 0, `${this.#failures.slice(0, failuresShown).join('\n')}${more}`);
  }
}
