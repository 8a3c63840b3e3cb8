/** What others have done to our tables, by manifest index. Pure. */

import type { Manifest } from '../compiler/plan.js';
import type { SetIndex } from './kernel.js';
import type { ForeignCommit } from './monitor.js';

/** One transaction of another process that touched our tables. */
export interface Drift {
  /** Tables, chains, rules, set definitions or objects were added or deleted. */
  readonly structure: boolean;
  /** Sets whose elements were added or deleted by hand, in the order of their indexes. */
  readonly sets: readonly SetIndex[];
  /** Who it was, for people: `nft (process 4711)`. */
  readonly by: string;
}

export interface DriftWatcher {
  changed(drift: Drift): void;
  /** What happened was missed: anything may have changed. */
  resync(reason: string): void;
}

/** What a commit means for a manifest's sets. */
export function driftOf(manifest: Manifest, commit: ForeignCommit): Drift {
  const elements = new Set(commit.changes.filter(({ object }) => object === 'element').map(({ path }) => path));
  const tables = new Map(manifest.tables.map(({ family, name }) => [family, name]));
  return {
    structure: commit.changes.some(({ object }) => object !== 'element'),
    sets: manifest.sets.flatMap(({ table, name }, index) =>
      elements.has(`${table} ${tables.get(table)} ${name}`) ? [index] : [],
    ),
    by: `${commit.processName ?? 'an unknown program'} (process ${commit.processId ?? 'unknown'})`,
  };
}
