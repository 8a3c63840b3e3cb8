/**
 * Tables that live in kernel ipsets. The kernel has no transactions for them: what would not fit is refused before
 * anything is sent, and a whole content is replaced by filling another set and swapping the two.
 */

import { createHash } from 'node:crypto';
import type { ManifestIpset } from '../compiler/plan.js';
import { asPosternError, PosternError } from '../errors.js';
import { type IpsetHeader, MAX_IPSET_NAME_BYTES } from '../wire/ipset.js';
import type { IpsetElement } from '../wire/ipset-element.js';
import type { Exchange } from './exchange.js';
import { IpsetCommands, type RefusedElement } from './ipset-commands.js';
import { unfit } from './ipset-room.js';
import { additions, assertIpsetChange, elementsOf, ipsetState, sameShape, shapeOf } from './ipset-target.js';
import type { ElementChange, ElementKey, ElementState, SetIndex } from './kernel.js';
import type { RefusedChange } from './nf.js';

type Addition = Extract<ElementChange, { op: 'add' }>;

export interface Ipsets {
  /** These are ours from now on; the first one's index is `first`. */
  adopt(ipsets: readonly ManifestIpset[], first: SetIndex): void;
  /** Is this the index of an ipset? */
  owns(set: SetIndex): boolean;
  /**
   * Makes these sets, or takes those that are there with their contents; sets of another shape are rebuilt under their
   * name, so that rules which refer to them go on.
   * @throws PosternError `conflict` when a set of another type has the name, `unsupported`, `kernel`.
   */
  make(ipsets: readonly ManifestIpset[]): Promise<void>;
  /** Deletes these sets; what rules refer to is emptied instead. */
  drop(ipsets: readonly ManifestIpset[]): Promise<void>;
  /** Names of our sets that are there as they should be, with their number of elements. */
  present(): Promise<ReadonlyMap<string, number>>;
  /** @throws PosternError `invalid`, `not-found` */
  validate(changes: readonly ElementChange[]): void;
  /** As Nf.transact. When nothing is refused all is done; when something is, nothing is, unless the kernel surprises. */
  transact(changes: readonly ElementChange[]): Promise<readonly RefusedChange[]>;
  get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined>;
  dump(set: SetIndex): Promise<ElementState[]>;
  /**
   * The set holds exactly these elements afterwards; until then the old ones, and never anything between. Changes that come
   * meanwhile take effect in both.
   */
  replace(set: SetIndex, elements: Iterable<Addition>): Promise<void>;
}

/** Elements of a big job before others get their turn. */
const CHUNK = 2_000;

export function openIpsets(exchange: Exchange): Ipsets {
  return new KernelIpsets(new IpsetCommands(exchange));
}

class KernelIpsets implements Ipsets {
  #ipsets: readonly ManifestIpset[] = [];
  #first: SetIndex = Number.POSITIVE_INFINITY;
  /** Sets that are being replaced, and what was changed since that began. */
  readonly #replacing = new Map<SetIndex, ElementChange[]>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly commands: IpsetCommands) {}

  adopt(ipsets: readonly ManifestIpset[], first: SetIndex): void {
    this.#ipsets = ipsets;
    this.#first = first;
  }

  owns(set: SetIndex): boolean {
    return set >= this.#first;
  }

  async make(ipsets: readonly ManifestIpset[]): Promise<void> {
    for (const set of ipsets) assertName(set.name);
    for (const set of ipsets) await this.#ensure(set);
  }

  async drop(ipsets: readonly ManifestIpset[]): Promise<void> {
    for (const { name } of ipsets) {
      if (!(await this.commands.destroy(name))) await this.commands.flush(name);
    }
  }

  async present(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    for (const set of this.#ipsets) {
      const header = await this.commands.header(set.name);
      if (header !== undefined && sameShape(header, shapeOf(set))) found.set(set.name, header.elements);
    }
    return found;
  }

  validate(changes: readonly ElementChange[]): void {
    for (const change of changes) assertIpsetChange(this.#ipset(change.set), change);
  }

  transact(changes: readonly ElementChange[]): Promise<readonly RefusedChange[]> {
    return this.#exclusive(async () => {
      const tooMany = await unfit(changes, (set) => this.#ipset(set), this.commands);
      if (tooMany.length > 0) return tooMany;
      const refused: RefusedChange[] = [];
      for (const run of runsOf(changes)) {
        for (const { index, error } of await this.#apply(changes, run)) refused.push({ index, error });
      }
      for (const change of changes) this.#replacing.get(change.set)?.push(change);
      return refused;
    });
  }

  async get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined> {
    const wanted = elementsOf(this.#ipset(set), key);
    const [first] = wanted;
    if (wanted.length !== 1 || first === undefined) return undefined;
    // A test answers for wider prefixes too, and without time or counts: there is no way but to look.
    return (await this.dump(set)).find(
      (state) =>
        Buffer.compare(state.key, key.key) === 0 &&
        (state.keyEnd === undefined || Buffer.compare(state.keyEnd, key.keyEnd ?? key.key) === 0),
    );
  }

  async dump(set: SetIndex): Promise<ElementState[]> {
    const ipset = this.#ipset(set);
    const states = new Map<string, ElementState>();
    const found = await this.commands.elements(ipset.name, (element) => {
      const state = ipsetState(ipset, element);
      if (state !== undefined) states.set(`${state.key}-${state.keyEnd}`, state);
    });
    if (!found) throw new PosternError('not-found', `ipset ${ipset.name}: not in the kernel`);
    return [...states.values()];
  }

  async replace(set: SetIndex, elements: Iterable<Addition>): Promise<void> {
    const ipset = this.#ipset(set);
    if (this.#replacing.has(set)) throw new PosternError('busy', `ipset ${ipset.name}: it is being replaced already`);
    const changed: ElementChange[] = [];
    this.#replacing.set(set, changed);
    const other = temporaryName(ipset.name);
    try {
      await this.commands.destroy(other);
      await this.commands.create(other, shapeOf(ipset));
      await this.#fill(ipset, other, elements);
      await this.#exclusive(async () => {
        await this.#changeAll({ ...ipset, name: other }, changed.splice(0));
        await this.commands.swap(ipset.name, other);
      });
    } finally {
      this.#replacing.delete(set);
      await this.commands.destroy(other);
    }
  }

  async #ensure(set: ManifestIpset): Promise<void> {
    const header = await this.commands.header(set.name);
    if (header === undefined) return this.commands.create(set.name, shapeOf(set));
    if (sameShape(header, shapeOf(set))) return;
    if (header.type !== set.type || header.family !== set.family) {
      throw new PosternError(
        'conflict',
        `ipset ${set.name} is there as ${header.type} of IPv${header.family}, and its table needs ${set.type} of IPv${set.family}; delete it: ipset destroy ${set.name}`,
      );
    }
    await this.#rebuild(set, header);
  }

  /** The same contents in another shape, under the same name. */
  async #rebuild(set: ManifestIpset, header: IpsetHeader): Promise<void> {
    const other = temporaryName(set.name);
    await this.commands.destroy(other);
    await this.commands.create(other, shapeOf(set));
    const kept: IpsetElement[] = [];
    await this.commands.elements(set.name, (element) => kept.push(carried(element, set)));
    const refused = await this.commands.change('add', other, kept);
    if (refused[0] !== undefined) {
      await this.commands.destroy(other);
      throw new PosternError(
        'full',
        `ipset ${set.name} holds ${header.elements} elements, more than its table may have: ${refused[0].error.message}`,
      );
    }
    await this.commands.swap(set.name, other);
    await this.commands.destroy(other);
  }

  async #fill(ipset: ManifestIpset, other: string, elements: Iterable<Addition>): Promise<void> {
    let chunk: IpsetElement[] = [];
    const send = async () => {
      const [refused] = await this.commands.change('add', other, chunk);
      if (refused !== undefined) throw refused.error;
      chunk = [];
    };
    for (const addition of elements) {
      assertIpsetChange(ipset, addition);
      chunk.push(...additions(ipset, addition));
      if (chunk.length >= CHUNK) await send();
    }
    if (chunk.length > 0) await send();
  }

  async #changeAll(ipset: ManifestIpset, changes: readonly ElementChange[]): Promise<void> {
    for (const run of runsOf(changes)) {
      const [refused] = await this.#applyTo(ipset, changes, run);
      if (refused !== undefined) throw refused.error;
    }
  }

  #apply(changes: readonly ElementChange[], run: Run): Promise<readonly RefusedChange[]> {
    return this.#applyTo(this.#ipset(run.set), changes, run);
  }

  /** Which changes of a run the kernel refused; what it didn't is done. */
  async #applyTo(ipset: ManifestIpset, changes: readonly ElementChange[], run: Run): Promise<RefusedChange[]> {
    const { op, from, to } = run;
    try {
      if (op === 'flush') {
        await this.commands.flush(ipset.name);
        return [];
      }
      const elements: IpsetElement[] = [];
      const changeOf: number[] = [];
      for (let index = from; index < to; index++) {
        const change = changes[index] as Exclude<ElementChange, { op: 'flush' }>;
        const own = change.op === 'add' ? additions(ipset, change) : elementsOf(ipset, change);
        for (const element of own) {
          elements.push(element);
          changeOf.push(index);
        }
      }
      const refused = await this.commands.change(op, ipset.name, elements);
      return byChange(refused, changeOf);
    } catch (error) {
      const refusal = asPosternError(error);
      if (refusal.code === 'busy' || refusal.code === 'internal') throw error;
      return Array.from({ length: to - from }, (_, offset) => ({ index: from + offset, error: refusal }));
    }
  }

  #ipset(set: SetIndex): ManifestIpset {
    const found = this.#ipsets[set - this.#first];
    if (found === undefined) throw new PosternError('not-found', `set ${set}: no ipset of the manifest`);
    return found;
  }

  /** One after the other: between a look and what follows from it nothing may come. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

interface Run {
  readonly set: SetIndex;
  readonly op: ElementChange['op'];
  readonly from: number;
  readonly to: number;
}

/** Changes of one kind to one set share messages. */
function* runsOf(changes: readonly ElementChange[]): Iterable<Run> {
  for (let from = 0, to = 0; from < changes.length; from = to) {
    const { set, op } = changes[from] as ElementChange;
    for (to = from + 1; op !== 'flush' && changes[to]?.set === set && changes[to]?.op === op; ) to++;
    yield { set, op, from, to };
  }
}

function byChange(refused: readonly RefusedElement[], changeOf: readonly number[]): RefusedChange[] {
  const found = new Map<number, RefusedChange>();
  for (const { index, error } of refused) {
    const change = changeOf[index];
    if (change !== undefined && !found.has(change)) found.set(change, { index: change, error });
  }
  return [...found.values()];
}

/** What of an element a set of this shape can hold. */
function carried(element: IpsetElement, set: ManifestIpset): IpsetElement {
  const { timeoutSeconds, packets, bytes, comment, skbinfo, ...rest } = element;
  return {
    ...rest,
    ...(set.timeout ? { timeoutSeconds: timeoutSeconds ?? 0 } : {}),
    ...(set.counters && packets !== undefined ? { packets } : {}),
    ...(set.counters && bytes !== undefined ? { bytes } : {}),
    ...(set.comment && comment !== undefined ? { comment } : {}),
    ...(set.skbinfo && skbinfo !== undefined ? { skbinfo } : {}),
  };
}

/** Always the same for a set, so that what a crash left behind is found. */
export function temporaryName(name: string): string {
  return `postern-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

function assertName(name: string): void {
  if (name !== '' && Buffer.byteLength(name) <= MAX_IPSET_NAME_BYTES) return;
  throw new PosternError('invalid', `ipset ${name}: a name has at most ${MAX_IPSET_NAME_BYTES} bytes`);
}
