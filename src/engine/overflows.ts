/** Packets whose addresses found a table's set full: the kernel counts them by objects of the policy. */

import type { Manifest } from '../compiler/plan.js';
import type { Kernel } from '../kernel/kernel.js';
import type { EngineMetrics } from './engine.js';

/** @throws PosternError as `Kernel.object`. */
export function readOverflows(
  { objects }: Pick<Manifest, 'objects'>,
  kernel: Pick<Kernel, 'object'>,
): Promise<EngineMetrics['overflows']> {
  const overflows = objects.flatMap(({ role }, index) =>
    role.kind === 'overflow' && role.of.kind === 'table' ? [{ index, ...role.of }] : [],
  );
  const read = overflows.map(async ({ index, table, family }) => {
    const { packets = 0n } = await kernel.object(index);
    return { table, family, packets };
  });
  return Promise.all(read);
}
