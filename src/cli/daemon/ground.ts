/** What stands under daemon and direct commands alike: state folder, store, kernel and engine. */

import { createEngine, type EngineOptions } from '../../engine/create.js';
import type { Engine } from '../../engine/engine.js';
import type { PolicyText } from '../../engine/policy-control.js';
import type { Kernel } from '../../kernel/kernel.js';
import { openKernel } from '../../kernel/open.js';
import { storeAndKernel } from '../../store/committer.js';
import type { Store } from '../../store/store.js';
import { compileText } from '../policy-file.js';
import { openStoreIn } from './state-folder.js';

export interface GroundOptions {
  /** Locked by the caller. */
  readonly stateFolder: string;
  readPolicy(): PolicyText;
  /** Told of what people should know about the store. */
  notify(notice: string): void;
  /** Is given what has to be done at the end, the last first. */
  onStop(close: () => Promise<void> | void): void;
}

export interface Ground {
  readonly store: Store;
  readonly kernel: Kernel;
  /** Not started. */
  readonly engine: Engine;
}

export async function openGround({ stateFolder, readPolicy, notify, onStop }: GroundOptions): Promise<Ground> {
  const store = await openStoreIn(stateFolder, notify);
  onStop(() => store.close());
  const kernel = await openKernel();
  onStop(() => kernel.close());
  const engine = createEngine({
    kernel,
    store: engineStore(store, kernel),
    stateFolder,
    readPolicy: async () => readPolicy(),
    compile: async (source, previous) => compileText(source, previous),
  });
  onStop(() => engine.stop());
  return { store, kernel, engine };
}

function engineStore(store: Store, kernel: Kernel): NonNullable<EngineOptions['store']> {
  const committer = storeAndKernel({ store, kernel });
  return {
    entries: (table) => store.entries(table),
    lastWord: (table, prefix) => store.lastWord(table, prefix),
    commit: (drafts, elements, options) => committer.commit(drafts, elements, options),
    request: () => committer.request(),
  };
}
