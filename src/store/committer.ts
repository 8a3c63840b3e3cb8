/**
 * One commit for store and kernel. The steps of a change, and what a crash after each of them leaves:
 *
 * 1. The store stamps the change and joins it in memory.             Crash: nothing of it.
 * 2. The journal has it, synced together with others of the moment.  Crash: all of it; recovery gives it to the kernel.
 * 3. The kernel has it, in one transaction together with others.     Crash: all of it, in both.
 * 4. The audit log has it, and the caller is told.
 *
 * When the kernel refuses, the store takes the change back before the caller is told; a crash in between leaves it in the
 * journal, and recovery tries it once more, whole. So what was acknowledged is in both, and what wasn't is whole or gone.
 * A request of several changes is taken back at the next start unless it was done.
 */

import { asPosternError } from '../errors.js';
import type { ElementChange, Kernel } from '../kernel/kernel.js';
import type { Draft, Store, StoreRequest } from './store.js';

export interface CommitOptions {
  /** Part of a big job, which urgent changes of other sets overtake. */
  readonly bulk?: boolean;
  /** Of a signed request, which nobody may repeat: it takes effect only when the disk has it, and its mark before it. */
  readonly signed?: boolean;
}

export interface Committer {
  /**
   * Makes one change in both. Resolved: both have it. Rejected: neither has it (PosternError of the kernel, or `full`,
   * `busy`, `invalid`). Changes take effect in the order of the calls.
   */
  commit(drafts: readonly Draft[], elements: readonly ElementChange[], options?: CommitOptions): Promise<void>;
  /** A request that takes several changes: after a crash both have all of it or nothing. */
  request(): CommitRequest;
}

export interface CommitRequest {
  commit: Committer['commit'];
  /** To be called when all of it was committed or taken back. */
  done(): Promise<void>;
}

/** Is told what is asked for, and answers whom to tell what became of it. */
export type Audit = (drafts: readonly Draft[]) => Outcome;
/** Absent: it was done. Resolves when it is written down; never rejects. */
export type Outcome = (error?: Error) => Promise<void>;

export interface CommitterParts {
  readonly store: Pick<Store, 'write' | 'request' | 'requireDurable'>;
  readonly kernel: Pick<Kernel, 'change'>;
  readonly audit?: Audit;
}

export function storeAndKernel(parts: CommitterParts): Committer {
  return new StoreAndKernel(parts);
}

class StoreAndKernel implements Committer {
  constructor(private readonly parts: CommitterParts) {}

  commit(drafts: readonly Draft[], elements: readonly ElementChange[], options?: CommitOptions): Promise<void> {
    return this.#commit(this.parts.store, drafts, elements, options);
  }

  request(): CommitRequest {
    const request = this.parts.store.request();
    return {
      commit: (drafts, elements, options) => this.#commit(request, drafts, elements, options),
      done: () => request.done(),
    };
  }

  async #commit(
    store: Pick<StoreRequest, 'write'>,
    drafts: readonly Draft[],
    elements: readonly ElementChange[],
    options?: CommitOptions,
  ): Promise<void> {
    const { kernel, audit } = this.parts;
    const { signed = false, ...asBulk } = options ?? {};
    let outcome: Outcome | undefined;
    try {
      // The store answers in the order of the calls, so that changes reach the kernel in that order.
      const revoke = await store.write(drafts);
      try {
        if (signed) this.parts.store.requireDurable();
        const changed = kernel.change(elements, asBulk);
        outcome = audit?.(drafts);
        await changed;
      } catch (error) {
        await revoke();
        throw error;
      }
    } catch (error) {
      outcome ??= audit?.(drafts);
      await outcome?.(asPosternError(error));
      throw error;
    }
    await outcome?.();
  }
}
