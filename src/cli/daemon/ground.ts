/** What stands under daemon and direct commands alike: state folder, store, kernel and engine. */

import { join } from 'node:path';
import { refuseUnknownCountries } from '../../engine/countries.js';
import { createEngine } from '../../engine/create.js';
import type { Engine } from '../../engine/engine.js';
import type { PolicyText } from '../../engine/policy-control.js';
import type { Kernel } from '../../kernel/kernel.js';
import { openLinks } from '../../kernel/links.js';
import { openKernel } from '../../kernel/open.js';
import { countryFiles } from '../../services/geoip/source.js';
import { AuditLog } from '../../store/audit-log.js';
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
  readonly audit: AuditLog;
  /** Not started. */
  readonly engine: Engine;
}

export async function openGround({ stateFolder, readPolicy, notify, onStop }: GroundOptions): Promise<Ground> {
  const store = await openStoreIn(stateFolder, notify);
  onStop(() => store.close());
  const audit = new AuditLog({ path: join(stateFolder, 'audit.jsonl'), notify });
  onStop(() => audit.close());
  const kernel = await openKernel();
  onStop(() => kernel.close());
  const { SSH_CONNECTION } = process.env;
  const operator = SSH_CONNECTION === undefined ? {} : { operator: SSH_CONNECTION };
  const engine = createEngine({
    kernel,
    store,
    audit: (drafts) => audit.change(drafts),
    stateFolder,
    readPolicy: async () => readPolicy(),
    compile: async (source, previous) => {
      const compiled = compileText(source, previous);
      refuseUnknownCountries(compiled.plan, countryFiles);
      return compiled;
    },
    openLinks: (changed) => openLinks({ changed }),
    countries: countryFiles,
    prove: async (next, from, terms) => {
      const { prove } = await import('../prove.js');
      await prove(next, from, { ...operator, ...terms }, notify);
    },
  });
  onStop(() => engine.stop());
  return { store, kernel, audit, engine };
}
