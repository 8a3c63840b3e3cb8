/**
 * The element half of the kernel edge, put together: probe, exchange, group commit. `openKernel` joins it with the half
 * that loads structure as nft text.
 */

import type { Manifest } from '../compiler/plan.js';
import type { Address } from '../net/address.js';
import type { Generation } from '../wire/nftables-generation.js';
import { type CommitCallOptions, type CommitCounts, groupCommit } from './commit.js';
import type { Exchange } from './exchange.js';
import type { ElementChange, Kernel } from './kernel.js';
import { openNf } from './nf.js';
import { type NetlinkFeatures, probeNetlink } from './probe-netlink.js';
import { killStates } from './states.js';
import { threadExchange } from './thread-exchange.js';

export interface KernelElements extends Pick<Kernel, 'get' | 'dump' | 'object' | 'killStates' | 'close'> {
  readonly features: NetlinkFeatures;
  readonly counts: CommitCounts;
  /** The manifest whose indexes the calls mean from now on; wait for `idle` before, or changes on their way meet it. */
  adopt(manifest: Manifest): void;
  /** Group-committed: see GroupCommit. */
  change(changes: readonly ElementChange[], options?: CommitCallOptions): Promise<void>;
  /** Resolves when every change that was asked for is answered. */
  idle(): Promise<void>;
  generation(): Promise<Generation>;
}

export interface ElementsOptions {
  /** Name of `ip netns`; absent: where the process is. */
  readonly namespace?: string;
  /** What the kernel can do; absent: it is probed. */
  readonly features?: NetlinkFeatures;
}

/** @throws PosternError `system` without CAP_NET_ADMIN, `not-found` for a namespace that doesn't exist. */
export async function openElements(options: ElementsOptions = {}): Promise<KernelElements> {
  const features = options.features ?? (await probeNetlink(options.namespace));
  return elementsOver(threadExchange(options), features);
}

/** The same over an exchange that is open already. */
export function elementsOver(exchange: Exchange, features: NetlinkFeatures): KernelElements {
  const nf = openNf(exchange, features);
  const queue = groupCommit({
    transact: (changes, how) => nf.transact(changes, how),
    validate: (changes) => nf.validate(changes),
    now: () => performance.now(),
    later: (delayMs, run) => void (delayMs <= 0 ? setImmediate(run) : setTimeout(run, delayMs)),
  });
  return {
    features,
    counts: queue.counts,
    adopt: (manifest) => nf.adopt(manifest),
    change: (changes: readonly ElementChange[], how) => queue.commit(changes, how),
    idle: () => queue.idle(),
    get: (set, key) => nf.get(set, key),
    dump: (set, how) => nf.dump(set, how),
    object: (object, how) => nf.object(object, how),
    generation: () => nf.generation(),
    killStates: (address: Address) => killStates(exchange, address, features.filterStates),
    async close() {
      await queue.idle();
      await exchange.close();
    },
  };
}
