/** An engine over the real kernel of a namespace. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine/create.js';
import type { Engine } from '../../src/engine/engine.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import { openLinks } from '../../src/kernel/links.js';
import { type KernelOptions, openKernel, type RealKernel } from '../../src/kernel/open.js';
import { compile } from '../engine/fixture.js';
import type { Namespace, Scope } from './namespace.js';

export interface LiveBench {
  engine: Engine;
  kernel: RealKernel;
  /** The policy file. */
  text: string;
  /** Ends the daemon's part and starts it anew; packets flow on. */
  restart(): Promise<void>;
}

export async function liveBench(
  scope: Scope,
  space: Namespace,
  text: string,
  options: Partial<EngineOptions> = {},
  edges: Omit<KernelOptions, 'netns'> = {},
): Promise<LiveBench> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'postern-engine-'));
  scope.after(() => rm(stateFolder, { recursive: true }));
  const made = { text } as LiveBench;
  const open = async () => {
    made.kernel = await openKernel({ netns: space.name, ...edges });
    made.engine = createEngine({
      kernel: made.kernel,
      compile,
      readPolicy: async () => ({ file: 'policy.yaml', text: made.text }),
      stateFolder,
      openLinks: (changed) => openLinks({ namespace: space.name, changed }),
      ...options,
    });
    await made.engine.start();
  };
  const close = async () => {
    await made.engine.stop();
    await made.kernel.close();
  };
  made.restart = async () => {
    await close();
    await open();
  };
  await open();
  scope.after(close);
  return made;
}
