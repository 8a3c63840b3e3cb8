/** Plans for tests that need no policy: the manifest is read off the ruleset. */

import { createHash } from 'node:crypto';
import type { Manifest, ManifestSet, Plan, SetRole } from '../../src/compiler/plan.js';
import type { NftSet, Ruleset, Table } from '../../src/nft/model.js';
import { describeBase, renderRuleset } from '../../src/nft/render.js';
import { elementTexts } from '../../src/nft/set.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `roles` by set name; a set without one is an extension's. */
export function planOf(ruleset: Ruleset, roles: Readonly<Record<string, SetRole>> = {}): Plan {
  return {
    ruleset,
    manifest: manifestOf(ruleset, roles),
    tables: [],
    accounts: [],
    duties: [],
    notes: [],
    warnings: [],
  };
}

function manifestOf(ruleset: Ruleset, roles: Readonly<Record<string, SetRole>>): Manifest {
  const each = <T>(make: (table: Table) => readonly T[]): T[] => ruleset.tables.flatMap(make);
  return {
    format: 1,
    digest: sha256(renderRuleset(ruleset)),
    tables: ruleset.tables.map(({ family, name }) => ({ family, name })),
    sets: each((table) => table.sets.map((set) => manifestSet(table, set, roles[set.name]))),
    objects: each((table) =>
      table.objects.map(({ kind, name }) => ({
        table: table.family,
        kind,
        name,
        role: { kind: 'extension', extension: 'test', name, purpose: kind },
      })),
    ),
    chains: each((table) =>
      table.chains.map(({ name, base }) => ({ table: table.family, name, ...(base && { base: describeBase(base) }) })),
    ),
    marks: [],
    groups: [],
  };
}

function manifestSet(table: Table, set: NftSet, role: SetRole | undefined): ManifestSet {
  const key = 'type' in set.key ? set.key.type : (set.key.of ?? []);
  const { name, flags, counter = false, size = 65_535, elements } = set;
  return {
    table: table.family,
    name,
    key,
    interval: flags.includes('interval'),
    timeout: flags.includes('timeout'),
    counter,
    size,
    shape: sha256(JSON.stringify([set.key, flags, counter])),
    role: role ?? { kind: 'extension', extension: 'test', name, purpose: 'state' },
    ...(elements && { contents: sha256(elementTexts(set, elements).join()) }),
  };
}
