/**
 * Runs what the original programs did against what we do. Vectors of a topic are `<topic>.*.json` in `POSTERN_VECTORS`
 * (a folder), or in `test/vectors/data`.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ownFolder = fileURLToPath(new URL('../../../test/vectors/data', import.meta.url));

/** Bounds the report of a topic that went wrong altogether. */
const failuresShown = 10;

export interface Vector {
  readonly id: string;
}

/** All vectors of a topic. Throws when there are none. */
export function loadVectors<V extends Vector>(topic: string): V[] {
  const folder = process.env.POSTERN_VECTORS ?? ownFolder;
  const files = readdirSync(folder).filter((file) => file.startsWith(`${topic}.`) && file.endsWith('.json'));
  const vectors = files.flatMap((file) => {
    const content = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { vectors: V[] };
    return content.vectors;
  });
  assert.ok(vectors.length > 0, `no vectors ${topic}.*.json in ${folder}`);
  return vectors;
}

/** Where we differ from an original on purpose: names to reasons. */
export type Differences<Name extends string> = Readonly<Record<Name, string>>;

/**
 * One test that checks every vector of a topic and reports how many it ran. `check` throws where we are wrong, and
 * answers which of the differences showed; a difference has to be told from the vector's own fields.
 */
export function testVectors<V extends Vector, Name extends string = never>(
  topic: string,
  differences: Differences<Name>,
  check: (vector: V, all: readonly V[]) => readonly Name[] | Promise<readonly Name[]>,
): void {
  test(`${topic}: we do what the original did`, async (t) => {
    const vectors = loadVectors<V>(topic);
    const seen = new Map<Name, number>();
    const failures: string[] = [];
    let differing = 0;
    for (const vector of vectors) {
      try {
        const names = new Set(await check(vector, vectors));
        if (names.size > 0) differing++;
        for (const name of names) seen.set(name, (seen.get(name) ?? 0) + 1);
      } catch (error) {
        failures.push(`${vector.id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const counts = [...seen].map(([name, count]) => `${name}: ${count}`).join(', ');
    t.diagnostic(`${topic}: ran ${vectors.length}, differs on purpose ${differing}${counts && ` (${counts})`}`);
    for (const name of seen.keys()) t.diagnostic(`${name}: ${differences[name]}`);
    const more = failures.length > failuresShown ? `\nand ${failures.length - failuresShown} more` : '';
    assert.equal(failures.length, 0, `${failures.slice(0, failuresShown).join('\n')}${more}`);
  });
}
