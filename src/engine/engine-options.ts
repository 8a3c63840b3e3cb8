/** What an engine is made of. */

import type { Kernel } from '../kernel/kernel.js';
import type { Audit } from '../store/committer.js';
import type { Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { CountrySource } from './countries.js';
import type { OpenLinks } from './interface-sets.js';
import type { LivePolicyOptions } from './live-policy.js';
import type { CompilePolicy, PolicyText } from './policy-control.js';

export interface EngineOptions {
  readonly kernel: Kernel;
  readonly compile: CompilePolicy;
  /** The policy file as it is now. @throws PosternError `system`. */
  readonly readPolicy: () => Promise<PolicyText>;
  /** Folder for what a restart has to know; absent: a restart knows nothing. */
  readonly stateFolder?: string;
  /** Keeps live entries on disk; absent: they are taken from the kernel after a restart. */
  readonly store?: Store;
  /** Writes down every change of a table; with a store only. */
  readonly audit?: Audit;
  readonly clock?: Clock;
  /** Refuses a policy that would cut who must not be cut; see `LivePolicyOptions`. */
  readonly prove?: LivePolicyOptions['prove'];
  /** Follows the host's devices, for `lan:network` and `lan:address`; absent: their sets stay empty. */
  readonly openLinks?: OpenLinks;
  /** Where the ranges of countries come from; absent: their sets stay empty. */
  readonly countries?: CountrySource;
  /** False: what others change is left to the next apply. */
  readonly repairs?: boolean;
  /** Bound on addresses of one account in metrics. */
  readonly seriesPerAccount?: number;
}
