/** What the kernel holds of a table, as text. */

import type { Engine } from '../../src/engine/engine.js';
import { elementRange } from '../../src/engine/entries/element.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { compareRanges, formatRange } from '../../src/net/prefix.js';

/** Index of a table's set in the manifest. */
export function setOf(engine: Engine, table: string, tier: 'hosts' | 'prefixes', family: 4 | 6): number {
  return engine.policy.current!.plan.manifest.sets.findIndex(
    ({ role }) => role.kind === 'table' && role.table === table && role.tier === tier && role.family === family,
  );
}

/** `hosts 192.0.2.1 60s`, IPv4 first, hosts first, in address order. */
export async function elementsOf(kernel: Kernel, engine: Engine, table: string): Promise<string[]> {
  const texts: string[] = [];
  for (const family of [4, 6] as const) {
    for (const tier of ['hosts', 'prefixes'] as const) {
      const found = await kernel.dump(setOf(engine, table, tier, family));
      for (const element of found.sort((a, b) => compareRanges(elementRange(a), elementRange(b)))) {
        const left = element.expiresMs ?? element.timeoutMs;
        const time = left === undefined ? '' : ` ${Math.round(left / 1_000)}s`;
        texts.push(`${tier} ${formatRange(elementRange(element))}${time}`);
      }
    }
  }
  return texts;
}
