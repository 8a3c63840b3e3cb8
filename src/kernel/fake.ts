/**
 * A kernel for unit tests: transactional, without root, with a clock of its own. It refuses what the real one refuses
 * (test/kernel/behaviour.ts runs on both), and has what tests need besides: packets, faults, a look inside.
 */

import type { Manifest, ManifestIpset, ManifestSet, Plan } from '../compiler/plan.js';
import { asPosternError, PosternError } from '../errors.js';
import type { Address } from '../net/address.js';
import { objectSpec } from '../nft/object-spec.js';
import type { Presence } from '../nft/presence.js';
import { tableName } from '../nft/render.js';
import type { Contents } from '../nft/transaction.js';
import type { FlowMark } from '../wire/conntrack-flows.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { type CommitCallOptions, groupCommit } from './commit.js';
import { elementBatch, setTarget } from './element-batch.js';
import { FakeIpset } from './fake-ipset.js';
import { FakeSet, type Undo } from './fake-set.js';
import { type FakeObject, type FakeTable, type FakeTables, loadedTables } from './fake-tables.js';
import { assertIpsetChange } from './ipset-target.js';
import type {
  Addition,
  BulkContents,
  Drift,
  DriftWatcher,
  ElementChange,
  ElementKey,
  ElementState,
  Kernel,
  ObjectIndex,
  ObjectState,
  SetIndex,
} from './kernel.js';
import type { RefusedChange } from './nf.js';

/** What stays when a daemon ends. */
interface State {
  tables: FakeTables;
  ipsets: Map<string, FakeIpset>;
}

const encoding = { features: { destroy: true, updateTimeout: true }, firstSeq: 1 };

export interface FakeKernelOptions {
  /** Milliseconds; elements expire by it. */
  readonly now?: () => number;
}

/** A fake kernel without any table. */
export function fakeKernel({ now = Date.now }: FakeKernelOptions = {}): FakeKernel {
  return new FakeKernel({ tables: new Map(), ipsets: new Map() }, now);
}

export class FakeKernel implements Kernel {
  /** Addresses whose connections were killed. */
  readonly killed: Address[] = [];
  /** Connections that were marked; there is every one that is asked for. */
  readonly marked: FlowMark[] = [];
  /** Transactions of structure that changed something. */
  loads = 0;
  #manifest: Manifest | undefined;
  #fault: Error | undefined;
  #closed = false;
  readonly #watchers = new Set<DriftWatcher>();
  /** The same queue as before the real kernel: it merges and orders changes. */
  readonly #queue = groupCommit({
    prepare: (changes) => async () => this.#transact(changes),
    validate: (changes) => this.#validate(changes),
    now: () => performance.now(),
    later: (_delayMs, run) => void setImmediate(run),
    afterwards: (run) => void setImmediate(run),
  });

  constructor(
    private readonly state: State,
    private readonly now: () => number,
  ) {}

  /** The same kernel as another daemon finds it. */
  reopened(): FakeKernel {
    return new FakeKernel(this.state, this.now);
  }

  /** Somebody runs `nft flush ruleset`. */
  flushRuleset(): void {
    this.state.tables = new Map();
    this.#tell({ structure: true, sets: [], by: 'nft (process 1)' });
  }

  /** Somebody changes elements by hand. */
  foreignChange(changes: readonly ElementChange[]): void {
    const [refused] = this.#transact(changes);
    if (refused !== undefined) throw refused.error;
    const sets = [...new Set(changes.map(({ set }) => set))].sort((a, b) => a - b);
    this.#tell({ structure: false, sets, by: 'nft (process 1)' });
  }

  /** Events of others' transactions are lost. */
  loseEvents(): void {
    for (const watcher of this.#watchers) watcher.resync('events were lost');
  }

  #tell(drift: Drift): void {
    for (const watcher of this.#watchers) watcher.changed(drift);
  }

  /** The next call fails with this error and changes nothing. */
  failNext(error: Error): void {
    this.#fault = error;
  }

  /** Packets that a rule counts on an element (`update @set { … counter }`): false when the set is full. */
  packets(set: SetIndex, key: Uint8Array, packets: number, bytes: number): boolean {
    const found = this.#set(set);
    return found instanceof FakeSet && found.count(key, BigInt(packets), BigInt(bytes));
  }

  /** Packets that a named counter or quota sees. */
  countPackets(object: ObjectIndex, packets: number, bytes: number): void {
    const found = this.#object(object);
    found.packets += BigInt(packets);
    found.bytes += BigInt(bytes);
    found.usedBytes += BigInt(bytes);
  }

  async check(plan: Plan, previous: Manifest | undefined): Promise<void> {
    this.#begin();
    loadedTables({ plan, previous, contents: new Map(), tables: this.state.tables, now: this.now });
  }

  async load(
    plan: Plan,
    previous: Manifest | undefined,
    contents: Contents = new Map(),
    bulk: BulkContents = new Map(),
  ): Promise<void> {
    this.#begin();
    await this.#queue.idle();
    const before = this.state.tables;
    const isNew = (set: SetIndex): boolean => {
      const { family, table, set: name } = setTarget(plan.manifest, set);
      const path = [...before.keys()].find(
        (known) => known.endsWith(` ${table}`) && NFPROTO[known.split(' ')[0] as 'inet'] === family,
      );
      return path === undefined || !before.get(path)!.sets.has(name);
    };
    const fresh = [...bulk].filter(([set]) => isNew(set));
    const tables = loadedTables({ plan, previous, contents, tables: this.state.tables, now: this.now });
    if (tables !== this.state.tables) this.loads += 1;
    this.state.tables = tables;
    this.#loadIpsets(plan.manifest.ipsets ?? [], previous?.ipsets ?? []);
    this.#manifest = plan.manifest;
    for (const [, changes] of fresh) this.#transact([...(await changes())]);
  }

  async markConnection(connection: FlowMark): Promise<void> {
    this.#begin();
    this.marked.push(connection);
  }

  #loadIpsets(ipsets: readonly ManifestIpset[], previous: readonly ManifestIpset[]): void {
    for (const { name } of previous) {
      if (!ipsets.some((ipset) => ipset.name === name)) this.state.ipsets.delete(name);
    }
    for (const ipset of ipsets) {
      const there = this.state.ipsets.get(ipset.name);
      this.state.ipsets.set(ipset.name, there?.reshaped(ipset) ?? new FakeIpset(ipset, this.now));
    }
  }

  async adopt(manifest: Manifest): Promise<void> {
    this.#begin();
    await this.#queue.idle();
    this.#manifest = manifest;
  }

  async present(): Promise<Presence> {
    this.#begin();
    const ours = (this.#manifest?.tables ?? []).map(tableName).filter((name) => this.state.tables.has(name));
    const all = <T>(pick: (table: FakeTable) => Iterable<[string, T]>): Map<string, T> =>
      new Map(
        ours.flatMap((name) =>
          [...pick(this.state.tables.get(name)!)].map(([key, thing]): [string, T] => [`${name} ${key}`, thing]),
        ),
      );
    return {
      tables: new Set(ours),
      chains: all(({ chains }) => chains),
      sets: all(({ sets, maps }) => [...sets.keys()].map((name) => [name, maps.has(name) ? 'map' : 'set'])),
      objects: all(({ objects }) => [...objects].map(([name, { definition }]) => [name, objectSpec(definition)])),
      ...(this.#manifest?.ipsets !== undefined && { ipsets: await this.ipsets() }),
    };
  }

  async ipsets(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    for (const { name } of this.#manifest?.ipsets ?? []) {
      const ipset = this.state.ipsets.get(name);
      if (ipset !== undefined) found.set(name, ipset.length);
    }
    return found;
  }

  async replace(set: SetIndex, elements: Iterable<Addition>): Promise<void> {
    this.#begin();
    const ipset = this.#set(set);
    if (!(ipset instanceof FakeIpset)) throw new PosternError('internal', `set ${set}: it is no ipset`);
    const undo = ipset.flush();
    try {
      for (const element of elements) ipset.add(element);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Somebody runs `ipset flush` or `ipset destroy`; nobody is told. */
  loseIpset(name: string, how: 'flush' | 'destroy'): void {
    if (how === 'flush') this.state.ipsets.get(name)?.flush();
    else this.state.ipsets.delete(name);
  }

  async change(changes: readonly ElementChange[], options?: CommitCallOptions): Promise<void> {
    this.#begin();
    return this.#queue.commit(changes, options);
  }

  async get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined> {
    this.#begin();
    return this.#set(set).get(key);
  }

  async dump(set: SetIndex, { reset = false } = {}): Promise<ElementState[]> {
    this.#begin();
    const found = this.#set(set);
    if (!(found instanceof FakeIpset)) return found.states(reset);
    if (reset) throw new PosternError('unsupported', 'an ipset is not read and zeroed in one step');
    return found.states();
  }

  async object(index: ObjectIndex, { reset = false } = {}): Promise<ObjectState> {
    this.#begin();
    const object = this.#object(index);
    const { definition, packets, bytes, usedBytes } = object;
    if (reset) object.packets = object.bytes = object.usedBytes = 0n;
    if (definition.kind === 'quota') {
      const limitBytes = BigInt(definition.bytes);
      return { limitBytes, usedBytes: usedBytes < limitBytes ? usedBytes : limitBytes };
    }
    return definition.kind === 'counter' ? { packets, bytes } : {};
  }

  async allow(index: ObjectIndex, limitBytes: bigint, { reset = false } = {}): Promise<void> {
    this.#begin();
    const object = this.#object(index);
    if (object.definition.kind !== 'quota') throw new PosternError('internal', `${object.definition.name} is no quota`);
    object.definition = { ...object.definition, bytes: Number(limitBytes) };
    if (reset) object.usedBytes = 0n;
  }

  async killStates(address: Address): Promise<void> {
    this.#begin();
    this.killed.push(address);
  }

  watch(watcher: DriftWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watchers.clear();
  }

  #begin(): void {
    if (this.#closed) throw new PosternError('internal', 'the kernel edge is closed');
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault !== undefined) throw fault;
  }

  #known(): Manifest {
    if (this.#manifest === undefined) throw new PosternError('internal', 'no manifest was adopted or loaded');
    return this.#manifest;
  }

  /** Encoding finds what never reaches a kernel. */
  #validate(changes: readonly ElementChange[]): void {
    const manifest = this.#known();
    const ofIpset = ({ set }: ElementChange) => manifest.ipsets?.[set - manifest.sets.length];
    elementBatch(
      manifest,
      changes.filter((change) => ofIpset(change) === undefined),
      encoding,
    );
    for (const change of changes) {
      const ipset = ofIpset(change);
      if (ipset !== undefined) assertIpsetChange(ipset, change);
    }
  }

  #set(index: SetIndex): FakeSet | FakeIpset {
    const manifest = this.#known();
    const ipset = manifest.ipsets?.[index - manifest.sets.length];
    if (ipset !== undefined) {
      const found = this.state.ipsets.get(ipset.name);
      if (found === undefined) throw new PosternError('not-found', `ipset ${ipset.name}: not in the kernel`);
      return found;
    }
    const { of } = setTarget(this.#known(), index);
    const found = this.#find(of.table)?.sets.get(of.name);
    if (found === undefined) throw new PosternError('not-found', `set ${of.name}: not in the kernel`);
    return found;
  }

  #object(index: ObjectIndex): FakeObject {
    const { objects } = this.#known();
    const named = objects[index];
    if (named === undefined) {
      throw new PosternError('not-found', `object ${index}: the manifest has ${objects.length}`);
    }
    const found = this.#find(named.table)?.objects.get(`${named.kind} ${named.name}`);
    if (found === undefined) throw new PosternError('not-found', `${named.kind} ${named.name}: not in the kernel`);
    return found;
  }

  #find(family: ManifestSet['table']): FakeTable | undefined {
    const table = this.#known().tables.find((table) => table.family === family);
    return table && this.state.tables.get(tableName(table));
  }

  /** All changes, or none and which one the kernel refused. */
  #transact(changes: readonly ElementChange[]): readonly RefusedChange[] {
    const done: Undo[] = [];
    for (const [index, change] of changes.entries()) {
      try {
        done.push(this.#apply(change));
      } catch (error) {
        for (const undo of done.reverse()) undo();
        return [{ index, error: asPosternError(error) }];
      }
    }
    return [];
  }

  #apply(change: ElementChange): Undo {
    const set = this.#set(change.set);
    if (change.op === 'flush') return set.flush();
    return change.op === 'add' ? set.add(change) : set.delete(change);
  }
}
