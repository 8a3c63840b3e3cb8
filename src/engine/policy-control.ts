/** The policy at run time: what is in force, what a new one would change, and the way from one to the other. */

import type { Manifest, Plan } from '../compiler/plan.js';
import type { Origin } from '../nft/model.js';
import type { Policy } from '../policy/ast.js';

export interface PolicyText {
  /** Name of the file, for positions. */
  readonly file: string;
  readonly text: string;
}

export interface CompiledPolicy {
  readonly source: PolicyText;
  readonly policy: Policy;
  readonly plan: Plan;
}

/**
 * @param previous what is in force: marks and groups that were given out are given out again
 * @throws PosternError `policy`; its details are the diagnostics.
 */
export type CompilePolicy = (source: PolicyText, previous: Manifest | undefined) => Promise<CompiledPolicy>;

/** One difference between what is in the kernel and what a policy asks for. */
export interface PlanChange {
  readonly action: 'add' | 'delete' | 'change';
  readonly kind: 'table' | 'chain' | 'rule' | 'set' | 'ipset' | 'object' | 'entry';
  /** `inet postern input`; for rules and entries, where they are. */
  readonly name: string;
  /** The rule's text, the entry's prefix, what of it changes. */
  readonly text?: string;
  readonly origin?: Origin;
}

export interface PolicyDiff {
  /** Nothing to do. */
  readonly empty: boolean;
  readonly changes: readonly PlanChange[];
  readonly warnings: readonly string[];
}

export interface ApplyOptions {
  /** Go back to what was in force unless `confirm` is called within this time; at most an hour. */
  readonly confirmWithinMs?: number;
  /** Names of flows that may be cut. */
  readonly force?: readonly string[];
  /** SSH_CONNECTION of who asks: client, its port, server, its port. */
  readonly operator?: string;
}

/** What a proof has to know of an apply. */
export type ProofTerms = Pick<ApplyOptions, 'force' | 'operator'>;

export interface ApplyResult {
  readonly diff: PolicyDiff;
  /** Until when it has to be confirmed, in milliseconds since the epoch. */
  readonly confirmBy?: number;
}

/** All methods throw PosternError: `policy` (with diagnostics), `kernel` (with the policy line), `conflict`. */
export interface PolicyControl {
  /** What is in force; undefined before the first apply. */
  readonly current: CompiledPolicy | undefined;
  /** Of the change that waits to be confirmed. */
  readonly confirmBy: number | undefined;
  /** What `apply` would change. Without a text: of the policy file as it is now. The kernel checks it, too. */
  plan(source?: PolicyText): Promise<PolicyDiff>;
  /** One transaction; when it fails everything is as it was. Without a text: the policy file as it is now. */
  apply(source?: PolicyText, options?: ApplyOptions): Promise<ApplyResult>;
  /** Keeps what was applied with `confirmWithinMs`. @throws PosternError `conflict` when nothing waits or it's too late. */
  confirm(): Promise<void>;
  /** Goes back now to what was in force before the change that waits. @throws PosternError `conflict` when nothing waits. */
  rollback(): Promise<ApplyResult>;
}
