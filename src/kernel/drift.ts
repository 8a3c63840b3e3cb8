/** What others have done to our tables, by manifest index. Pure. */

import type { Manifest } from '../compiler/plan.js';
import type { Drift } from './kernel.js';
import type { ForeignCommit } from './monitor.js';

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
