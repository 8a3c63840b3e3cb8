/** A namespace of its own with an engine over its kernel, for one measurement. */

import { compileText } from '../../src/cli/policy-file.js';
import { createEngine } from '../../src/engine/create.js';
import type { Engine } from '../../src/engine/engine.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import type { PolicyText } from '../../src/engine/policy-control.js';
import { openKernel } from '../../src/kernel/open.js';
import { type Namespace, namespace, type Scope } from '../kernel/namespace.js';
import { timed } from './bench.js';

export interface World {
  readonly space: Namespace;
  readonly engine: Engine;
  /** Until the engine had applied the policy. */
  readonly startMs: number;
  /** What the policy file holds from now on. */
  policy: string;
}

/** Runs `work` in a fresh namespace where the engine has applied `policy`; all of it is gone afterwards. */
export async function inWorld<T>(
  policy: string,
  work: (world: World) => Promise<T>,
  options: Pick<EngineOptions, 'store' | 'audit'> = {},
): Promise<T> {
  return inScope(async (scope) => {
    const space = await namespace(scope);
    const kernel = await openKernel({ netns: space.name });
    scope.after(() => kernel.close());
    const world = {
      space,
      policy,
      engine: createEngine({
        kernel,
        compile: async (source) => compileText(source),
        readPolicy: async (): Promise<PolicyText> => ({ file: 'bench.yaml', text: world.policy }),
        ...options,
      }),
      startMs: 0,
    };
    world.startMs = await timed(() => world.engine.start());
    scope.after(() => world.engine.stop());
    return work(world);
  });
}

/** Runs `work`, then what it asked to be run at its end, last first. */
export async function inScope<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const endings: (() => Promise<void>)[] = [];
  try {
    return await work({ after: (end) => endings.push(end) });
  } finally {
    for (const end of endings.reverse()) await end();
  }
}
