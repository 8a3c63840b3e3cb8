/** The real kernel: structure through nft, everything else over netlink. */

import type { Manifest, Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { Address } from '../net/address.js';
import type { Element } from '../nft/model.js';
import { type Presence, presenceOf } from '../nft/presence.js';
import type { Listing } from '../nft/read.js';
import { type Line, renderTable, tableName } from '../nft/render.js';
import { type Contents, loadScript } from '../nft/transaction.js';
import type { FlowMark } from '../wire/conntrack-flows.js';
import { carriedElements, successions } from './carry.js';
import type { CommitCallOptions } from './commit.js';
import { driftOf } from './drift.js';
import { type KernelElements, openElements } from './elements.js';
import type {
  Addition,
  BulkContents,
  DriftWatcher,
  ElementChange,
  ElementKey,
  ElementState,
  Kernel,
  ObjectIndex,
  ObjectState,
  SetIndex,
} from './kernel.js';
import { type ForeignCommit, type Monitor, type MonitorReader, openMonitor } from './monitor.js';
import { type Nft, openNft } from './nft.js';
import { oneAhead } from './one-ahead.js';
import type { NetlinkFeatures } from './probe-netlink.js';

export interface KernelOptions {
  /** Name of the network namespace (`ip netns`); absent: this process's own. */
  readonly netns?: string;
  /** Longest time for one call of nft. */
  readonly nftTimeoutMs?: number;
  /** For tests: another command in place of `nft`. */
  readonly nftCommand?: string;
  /** For tests: less than what this kernel can do. */
  readonly features?: NetlinkFeatures;
}

/**
 * Opens the edges to the kernel of a network namespace. Nothing is loaded.
 * @throws PosternError `not-found` (no such namespace), `system` (not root, no nf_tables).
 */
export async function openKernel({
  netns,
  nftTimeoutMs,
  nftCommand,
  features,
}: KernelOptions = {}): Promise<RealKernel> {
  const own = new OwnProcesses();
  const nft = openNft({
    ...(netns !== undefined && { netns }),
    ...(nftTimeoutMs && { timeoutMs: nftTimeoutMs }),
    ...(nftCommand !== undefined && { command: nftCommand }),
    started: (processId) => own.add(processId),
  });
  const namespace = netns === undefined ? {} : { namespace: netns };
  const elements = await openElements({ ...namespace, ...(features !== undefined && { features }) });
  return new RealKernel(nft, elements, {
    openMonitor: (reader, watches) => openMonitor(reader, { ...namespace, watches }),
    isOwn: (commit) => own.made(commit),
  });
}

/** How a kernel learns of foreign transactions. */
interface Watch {
  openMonitor(reader: MonitorReader, watches: (table: string) => boolean): Monitor;
  isOwn(commit: ForeignCommit): boolean;
}

export class RealKernel implements Kernel {
  #manifest: Manifest | undefined;
  readonly #monitors = new Set<Monitor>();
  #listed: { readonly listing: Listing; readonly generation: number; readonly until: number } | undefined;

  constructor(
    private readonly nft: Nft,
    /** The element half, with its counts and what it found this kernel can do. */
    readonly elements: KernelElements,
    private readonly watching: Watch,
  ) {}

  async check(plan: Plan, previous: Manifest | undefined): Promise<void> {
    const lines = await this.#script(plan, previous, new Map());
    if (lines.length > 0) await this.nft.check(lines);
  }

  async load(
    plan: Plan,
    previous: Manifest | undefined,
    contents: Contents = new Map(),
    bulk: BulkContents = new Map(),
  ): Promise<void> {
    if (bulk.size === 0) return this.#load(plan, previous, contents);
    const before = this.#manifest;
    const made = await this.#fillFirst(plan, bulk);
    try {
      await this.#load(plan, previous, contents);
    } catch (error) {
      await this.#undo(made, before);
      throw error;
    }
  }

  async #load(plan: Plan, previous: Manifest | undefined, contents: Contents): Promise<void> {
    const lines = await this.#script(plan, previous, contents);
    const { ipsets = [] } = plan.manifest;
    await this.elements.ipsets.make(ipsets);
    // What nft commits must not look like somebody else's.
    await this.elements.idle();
    if (lines.length > 0) await this.nft.load(lines);
    await this.adopt(plan.manifest);
    const kept = new Set(ipsets.map(({ name }) => name));
    await this.elements.ipsets.drop((previous?.ipsets ?? []).filter(({ name }) => !kept.has(name)));
  }

  /**
   * Makes the sets that aren't there yet, no rule looking at them, and fills them over netlink: as text many elements take
   * nft several times as long. Answers what undoes it.
   */
  async #fillFirst(plan: Plan, bulk: BulkContents): Promise<readonly Line[]> {
    const { manifest, ruleset } = plan;
    const presence = presenceOf(await this.#listing(), manifest.tables);
    const fresh = [...bulk].filter(([set]) => !presence.sets.has(pathIn(manifest, set)));
    const paths = new Set(fresh.map(([set]) => pathIn(manifest, set)));
    const tables = ruleset.tables.map((table) => ({
      ...table,
      objects: [],
      chains: [],
      sets: table.sets.filter(({ name }) => paths.has(`${tableName(table)} ${name}`)),
    }));
    const needed = tables.filter(({ sets }) => sets.length > 0);
    const undo = needed.flatMap((table) =>
      presence.tables.has(tableName(table))
        ? table.sets.map(({ name }) => ({ text: `delete set ${tableName(table)} ${name}` }))
        : [{ text: `delete table ${tableName(table)}` }],
    );
    if (needed.length === 0) return undo;
    const before = this.#manifest;
    await this.elements.idle();
    await this.nft.load(needed.flatMap(renderTable));
    try {
      await this.adopt(manifest);
      await oneAhead(inParts(fresh.map(([, contents]) => contents)), (part) =>
        this.elements.change(part, { bulk: true }),
      );
      await this.elements.idle();
    } catch (error) {
      await this.#undo(undo, before);
      throw error;
    }
    return undo;
  }

  /** What a load that failed has made. Its own failure must not hide the one that led here. */
  async #undo(lines: readonly Line[], before: Manifest | undefined): Promise<void> {
    if (lines.length > 0) await this.nft.load(lines).catch(() => {});
    if (before !== undefined) await this.adopt(before);
  }

  async adopt(manifest: Manifest): Promise<void> {
    // What was asked for by the old indexes may not meet the new ones.
    await this.elements.idle();
    this.#manifest = manifest;
    this.elements.adopt(manifest);
  }

  async present(): Promise<Presence> {
    const presence = presenceOf(await this.#listing(), this.#manifest?.tables ?? []);
    if (this.#manifest?.ipsets === undefined) return presence;
    return { ...presence, ipsets: await this.elements.ipsets.present() };
  }

  change(changes: readonly ElementChange[], options?: CommitCallOptions): Promise<void> {
    return this.elements.change(changes, options);
  }

  replace(set: SetIndex, elements: Iterable<Addition>): Promise<void> {
    return this.elements.ipsets.replace(set, elements);
  }

  ipsets(): Promise<ReadonlyMap<string, number>> {
    return this.elements.ipsets.present();
  }

  get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined> {
    return this.elements.get(set, key);
  }

  dump(set: SetIndex, options?: { readonly reset?: boolean }): Promise<ElementState[]> {
    return this.elements.dump(set, options);
  }

  object(object: ObjectIndex, options?: { readonly reset?: boolean }): Promise<ObjectState> {
    return this.elements.object(object, options);
  }

  allow(object: ObjectIndex, limitBytes: bigint, options?: { readonly reset?: boolean }): Promise<void> {
    return this.elements.allow(object, limitBytes, options);
  }

  killStates(address: Address): Promise<void> {
    return this.elements.killStates(address);
  }

  markConnection(connection: FlowMark): Promise<void> {
    return this.elements.markConnection(connection);
  }

  watch(watcher: DriftWatcher): () => void {
    const monitor = this.watching.openMonitor(
      {
        commit: (commit) => {
          if (this.#manifest === undefined || this.watching.isOwn(commit)) return;
          watcher.changed(driftOf(this.#manifest, commit));
        },
        resync: (reason) => watcher.resync(reason),
      },
      (table) => this.#manifest?.tables.some((ours) => tableName(ours) === table) ?? false,
    );
    const listener = {
      pause: () => monitor.pause(),
      resume: () => monitor.resume(),
      missed: () => watcher.resync('somebody changed nf_tables while it was not watched, during a large change'),
    };
    this.elements.listeners.add(listener);
    this.#monitors.add(monitor);
    return () => {
      this.elements.listeners.delete(listener);
      this.#monitors.delete(monitor);
      monitor.close();
    };
  }

  close(): Promise<void> {
    for (const monitor of this.#monitors) monitor.close();
    this.#monitors.clear();
    return this.elements.close();
  }

  async #script(plan: Plan, previous: Manifest | undefined, contents: Contents): Promise<Line[]> {
    const tables = [...plan.manifest.tables, ...(previous?.tables ?? [])];
    const presence = presenceOf(await this.#listing(), tables);
    const carried = await this.#carried(plan, previous, presence);
    return loadScript({ target: plan, previous, presence, contents: new Map([...carried, ...contents]) });
  }

  /** What nft lists; the same as lately when no transaction came since. */
  async #listing(): Promise<Listing> {
    const { id: generation } = await this.elements.generation();
    const known = this.#listed;
    if (known?.generation === generation && performance.now() < known.until) return known.listing;
    const until = performance.now() + LISTING_MS;
    const listing = await this.nft.list();
    const unchanged = (await this.elements.generation()).id === generation;
    this.#listed = unchanged ? { listing, generation, until } : undefined;
    return listing;
  }

  /** Contents for the sets that take over from others. What packets add meanwhile to the old ones is lost. */
  async #carried(plan: Plan, previous: Manifest | undefined, presence: Presence): Promise<Contents> {
    const contents = new Map<string, readonly Element[]>();
    for (const { from, to } of successions(plan, previous)) {
      const former = pathIn(previous!, from);
      const path = pathIn(plan.manifest, to);
      if (!presence.sets.has(former) || presence.sets.has(path)) continue;
      contents.set(path, carriedElements(plan.manifest.sets[to]!, await this.#dumpOf(previous!, from)));
    }
    return contents;
  }

  async #dumpOf(manifest: Manifest, set: SetIndex): Promise<ElementState[]> {
    const current = this.#manifest;
    await this.adopt(manifest);
    try {
      return await this.dump(set);
    } finally {
      if (current !== undefined) await this.adopt(current);
    }
  }
}

/** No longer is a listing good: a chain of the netdev family may go with its device, which is no transaction. */
const LISTING_MS = 2_000;

/** The nft processes that this daemon started lately: their transactions are its own. */
class OwnProcesses {
  readonly #ids = new Set<number>();

  add(processId: number): void {
    this.#ids.add(processId);
    const [oldest] = this.#ids;
    // Ids are given out again after a long time only.
    if (oldest !== undefined && this.#ids.size > OWN_PROCESSES) this.#ids.delete(oldest);
  }

  /** The kernel tells the process id of the first PID namespace; in a container only the port has the one known here. */
  made({ processId, port }: ForeignCommit): boolean {
    return this.#ids.has(port) || (processId !== undefined && this.#ids.has(processId));
  }
}

const OWN_PROCESSES = 64;

/** Changes of one transaction of many: the kernel holds the packets up for none of them long. */
const bulkChanges = 10_000;

/** Of several small sets together, of a large one alone. */
async function* inParts(contents: Iterable<() => Promise<Iterable<ElementChange>>>): AsyncGenerator<ElementChange[]> {
  let part: ElementChange[] = [];
  for (const changes of contents) {
    for (const change of await changes()) {
      part.push(change);
      if (part.length < bulkChanges) continue;
      yield part;
      part = [];
    }
  }
  if (part.length > 0) yield part;
}

/** `family table name` of a set. */
function pathIn(manifest: Manifest, set: SetIndex): string {
  const { table: family, name } = manifest.sets[set]!;
  const table = manifest.tables.find((candidate) => candidate.family === family);
  if (table === undefined) throw new PosternError('internal', `set ${name}: the manifest has no ${family} table`);
  return `${tableName(table)} ${name}`;
}
