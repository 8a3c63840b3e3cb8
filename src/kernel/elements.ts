/**
 * The element half of the kernel edge, put together: probe, exchange, group commit. `openKernel` joins it with the half
 * that loads structure as nft text.
 */

import type { Manifest } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { Address } from '../net/address.js';
import type { Generation } from '../wire/nftables-generation.js';
import { type CommitCallOptions, type CommitCounts, type CommitEdge, groupCommit, type Send } from './commit.js';
import type { Exchange } from './exchange.js';
import { type Ipsets, openIpsets } from './ipsets.js';
import type { ElementChange, ElementState, Kernel, SetIndex } from './kernel.js';
import { type Nf, openNf, type RefusedChange } from './nf.js';
import { type NetlinkFeatures, probeNetlink } from './probe-netlink.js';
import { ShortCut } from './short-cut.js';
import { Silence } from './silence.js';
import { netfilterExchange } from './socket-exchange.js';
import { killStates, markConnection } from './states.js';
import { threadExchange } from './thread-exchange.js';

export interface KernelElements
  extends Pick<Kernel, 'get' | 'dump' | 'object' | 'allow' | 'killStates' | 'markConnection' | 'close'> {
  readonly features: NetlinkFeatures;
  readonly counts: CommitCounts;
  /** The sets of the manifest that are ipsets: to make, drop and replace. */
  readonly ipsets: Pick<Ipsets, 'make' | 'drop' | 'present' | 'replace'>;
  /** The manifest whose indexes the calls mean from now on; wait for `idle` before, or changes on their way meet it. */
  adopt(manifest: Manifest): void;
  /** Group-committed: see GroupCommit. */
  change(changes: readonly ElementChange[], options?: CommitCallOptions): Promise<void>;
  /** Resolves when every change that was asked for is answered, and those who listen to transactions hear all of them. */
  idle(): Promise<void>;
  /** Those who needn't hear our own large transactions. */
  readonly listeners: Pick<Silence, 'add' | 'delete'>;
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
  return elementsOver(daemonExchange(options), features);
}

/**
 * The exchange of a process whose event loop must stay free.
 * @throws PosternError `not-found` (no such namespace), `system` (not permitted)
 */
export function daemonExchange(options: Pick<ElementsOptions, 'namespace'> = {}): Exchange {
  const near = netfilterExchange(options.namespace);
  const thread = threadExchange(options);
  // Until it runs takes some 90 ms, in which a policy is compiled meanwhile.
  thread.start();
  return new ShortCut(near, thread);
}

/** The same over an exchange that is open already. */
export function elementsOver(exchange: Exchange, features: NetlinkFeatures): KernelElements {
  const nf = openNf(exchange, features);
  const ipsets = openIpsets(exchange);
  const silence = new Silence({
    generation: async () => (await nf.generation()).id,
    later: (delayMs, run) => void setTimeout(run, delayMs),
  });
  const backends = { nf, ipsets, silence };
  const queue = groupCommit({
    prepare: (changes, how) => prepare(backends, changes, how),
    validate: (changes) => {
      if (!touchesIpsets(ipsets, changes)) return nf.validate(changes);
      const { ofNf, ofIpsets } = split(ipsets, changes);
      nf.validate(ofNf.changes);
      ipsets.validate(ofIpsets.changes);
    },
    now: () => performance.now(),
    // At once is when all that was asked for in this turn is there: a turn of the event loop would cost a lone change more
    // than the kernel needs for it.
    later: (delayMs, run) => void (delayMs <= 0 ? queueMicrotask(run) : setTimeout(run, delayMs)),
    afterwards: (run) => void setImmediate(run),
  });
  return {
    features,
    counts: queue.counts,
    ipsets,
    adopt(manifest) {
      nf.adopt(manifest);
      ipsets.adopt(manifest.ipsets ?? [], manifest.sets.length);
    },
    change: (changes: readonly ElementChange[], how) => queue.commit(changes, how),
    listeners: silence,
    async idle() {
      await queue.idle();
      await silence.end();
    },
    get: (set, key) => (ipsets.owns(set) ? ipsets.get(set, key) : nf.get(set, key)),
    dump: (set, how) => (ipsets.owns(set) ? dumpIpset(ipsets, set, how) : nf.dump(set, how)),
    object: (object, how) => nf.object(object, how),
    allow: (object, limitBytes, how) => nf.allow(object, limitBytes, how),
    generation: () => nf.generation(),
    markConnection: (connection) => markConnection(exchange, connection),
    killStates: (address: Address) => killStates(exchange, address, features.filterStates),
    async close() {
      await this.idle();
      await exchange.close();
    },
  };
}

type PrepareOptions = Parameters<CommitEdge['prepare']>[1];

interface Backends {
  readonly nf: Nf;
  readonly ipsets: Ipsets;
  readonly silence: Silence;
}

/** Changes of one backend, and where each stood among all. */
interface Share {
  readonly changes: ElementChange[];
  readonly places: number[];
}

function touchesIpsets(ipsets: Ipsets, changes: readonly ElementChange[]): boolean {
  for (const { set } of changes) if (ipsets.owns(set)) return true;
  return false;
}

function split(ipsets: Ipsets, changes: readonly ElementChange[]): { readonly ofNf: Share; readonly ofIpsets: Share } {
  const shares = { ofNf: { changes: [], places: [] } as Share, ofIpsets: { changes: [], places: [] } as Share };
  changes.forEach((change, index) => {
    const share = ipsets.owns(change.set) ? shares.ofIpsets : shares.ofNf;
    share.changes.push(change);
    share.places.push(index);
  });
  return shares;
}

function prepare(backends: Backends, changes: readonly ElementChange[], how: PrepareOptions): Send {
  const { nf, ipsets, silence } = backends;
  if (touchesIpsets(ipsets, changes)) return () => transactBoth(backends, changes, how);
  const send = nf.prepare(changes, how);
  return () => silence.around(changes.length, send);
}

/** What nf_tables refuses stops the ipsets' share too; the other way round everything may be done twice. */
async function transactBoth(
  { nf, ipsets, silence }: Backends,
  changes: readonly ElementChange[],
  how: PrepareOptions,
): Promise<readonly RefusedChange[]> {
  const { ofNf, ofIpsets } = split(ipsets, changes);
  if (ofNf.changes.length > 0) {
    const refused = await silence.around(ofNf.changes.length, nf.prepare(ofNf.changes, how));
    if (refused.length > 0) return placed(refused, ofNf);
  }
  return placed(await ipsets.transact(ofIpsets.changes), ofIpsets);
}

function placed(refused: readonly RefusedChange[], { places }: Share): RefusedChange[] {
  return refused.map(({ index, error }) => ({ index: places[index] ?? index, error }));
}

async function dumpIpset(
  ipsets: Ipsets,
  set: SetIndex,
  how: { readonly reset?: boolean } | undefined,
): Promise<ElementState[]> {
  if (how?.reset)
    throw new PosternError('unsupported', 'the counters of an ipset can not be read and zeroed in one step');
  return ipsets.dump(set);
}
