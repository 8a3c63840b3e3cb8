/** One commit for store and kernel. */

import type { ElementChange } from '../kernel/kernel.js';
import type { Draft } from './store.js';

export interface Committer {
  /**
   * Makes one change in both: the store writes its intent, the kernel takes the elements, the caller is told.
   * Resolved: both have it. Rejected: neither has it (PosternError of the kernel, or `full`). Changes take effect in
   * the order of the calls. After a crash in between, recovery gives the kernel what the store has.
   * @param options `bulk`: part of a big job, which urgent changes of other sets overtake
   */
  commit(
    drafts: readonly Draft[],
    elements: readonly ElementChange[],
    options?: { readonly bulk?: boolean },
  ): Promise<void>;
}
