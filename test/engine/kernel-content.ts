/** What the kernel holds of a table, as text. */

import type { Engine } from '../../src/engine/engine.js';
import { elementRange } from '../../src/engine/entries/element.js';
import type { ElementState, Kernel } from '../../src/kernel/kernel.js';
import { compareRanges, formatRange } from '../../src/net/prefix.js';

type Tier = 'hosts' | 'prefixes';

/** Index of a table's set in the manifest; of the first shard's, when there are several. */
export function setOf(engine: Engine, table: string, tier: Tier, family: 4 | 6): number {
  return setsOf(engine, table, tier, family)[0]!;
}

/** One, or one for each shard. */
export function setsOf(engine: Engine, table: string, tier: Tier, family: 4 | 6): number[] {
  return engine.policy.current!.plan.manifest.sets.flatMap(({ role }, index) =>
    role.kind === 'table' && role.table === table && role.tier === tier && role.family === family ? [index] : [],
  );
}

/** What the kernel holds of a tier; what stands in several shards once. */
export async function heldIn(
  kernel: Pick<Kernel, 'dump'>,
  engine: Engine,
  table: string,
  tier: Tier,
  family: 4 | 6,
): Promise<ElementState[]> {
  const found = new Map<string, ElementState>();
  for (const set of setsOf(engine, table, tier, family)) {
    for (const element of await kernel.dump(set)) found.set(formatRange(elementRange(element)), element);
  }
  return [...found.values()];
}

/** `hosts 192.0.2.1 60s`, IPv4 first, hosts first, in address order. */
export async function elementsOf(kernel: Kernel, engine: Engine, table: string): Promise<string[]> {
  const texts: string[] = [];
  for (const family of [4, 6] as const) {
    for (const tier of ['hosts', 'prefixes'] as const) {
      const found = await heldIn(kernel, engine, table, tier, family);
      for (const element of found.sort((a, b) => compareRanges(elementRange(a), elementRange(b)))) {
        const left = element.expiresMs ?? element.timeoutMs;
        const time = left === undefined ? '' : ` ${Math.round(left / 1_000)}s`;
        texts.push(`${tier} ${formatRange(elementRange(element))}${time}`);
      }
    }
  }
  return texts;
}
