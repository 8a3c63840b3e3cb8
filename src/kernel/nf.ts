/**
 * The hot half of the kernel edge: set elements and named objects over netlink, by manifest index.
 * No process is spawned and no set is listed to change or read one element.
 */

import { setTimeout } from 'node:timers/promises';
import type { Manifest } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { type Acknowledgement, FLAG, MessageWriter, type NetlinkMessage } from '../wire/netlink.js';
import { NFPROTO, writeBatchBegin, writeBatchEnd } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { writeElements, writeSetRequest } from '../wire/nftables-element-writer.js';
import { readElements, type WireElement } from '../wire/nftables-elements.js';
import { type Generation, readGeneration, writeGenerationRequest } from '../wire/nftables-generation.js';
import {
  OBJECT_TYPE,
  type ObjectAddress,
  readObject,
  type WireObject,
  writeObjectRequest,
  writeQuotaObject,
} from '../wire/nftables-objects.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import { readSetHeader, writeSetHeaderRequest } from '../wire/nftables-sets.js';
import {
  assertChange,
  assertKey,
  type ElementBatch,
  type ElementFeatures,
  elementBatch,
  type SetTarget,
  setTarget,
  successor,
} from './element-batch.js';
import { elementState, elementStates, unitedStates } from './element-list.js';
import { type Exchange, KernelRefusal, refusalText } from './exchange.js';
import type { ElementChange, ElementKey, ElementState, ObjectIndex, ObjectState, SetIndex } from './kernel.js';
import { ERRNO } from './layouts.js';

export interface NfFeatures extends ElementFeatures {
  /** GETSETELEM_RESET: read and zero in one step (6.5). */
  readonly resetElements: boolean;
}

/** One change that the kernel refused. */
export interface RefusedChange {
  /** Place in the list of changes. */
  readonly index: number;
  readonly error: PosternError;
}

/**
 * Sends a transaction that is encoded already; once only.
 * @param committed is told the generation that it made; not when nothing had to be changed
 */
export type SendChanges = (committed?: (generation: number) => void) => Promise<readonly RefusedChange[]>;

export interface Nf {
  /** The manifest whose indexes the calls mean from now on. */
  adopt(manifest: Manifest): void;
  /**
   * One transaction. When the kernel refuses, nothing has changed, and the answer says which changes it refused.
   * @param options `separate`: one change per message, so that each refusal names its change
   * @throws PosternError `invalid` (nothing was sent), `busy` (not now, or the result is unknown), `full` (more than one
   *   transaction can carry), `kernel` (refused as a whole).
   */
  transact(
    changes: readonly ElementChange[],
    options?: { readonly separate?: boolean },
  ): Promise<readonly RefusedChange[]>;
  /** As `transact` of one change or more, in two steps: it is encoded now, and sent later. @throws PosternError `invalid` */
  prepare(changes: readonly ElementChange[], options?: { readonly separate?: boolean }): SendChanges;
  /** @throws PosternError `invalid` or `not-found` when a change can't be sent. */
  validate(changes: readonly ElementChange[]): void;
  /** One transaction, all or nothing. @throws PosternError also when the kernel refuses. */
  change(changes: readonly ElementChange[]): Promise<void>;
  get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined>;
  dump(set: SetIndex, options?: { readonly reset?: boolean }): Promise<ElementState[]>;
  object(object: ObjectIndex, options?: { readonly reset?: boolean }): Promise<ObjectState>;
  /** As `Kernel.allow`. */
  allow(object: ObjectIndex, limitBytes: bigint, options?: { readonly reset?: boolean }): Promise<void>;
  generation(): Promise<Generation>;
}

/** How often a listing that other transactions disturbed is repeated. */
const DUMP_ATTEMPTS = 3;
/** A hash table that grows is done within milliseconds. */
const DUMP_RETRY_MS = 20;
const DUMP_TIMEOUT_MS = 60_000;

/** The edge over an exchange; `features` says what this kernel can do. */
export function openNf(exchange: Exchange, features: NfFeatures): Nf {
  return new NetlinkNf(exchange, features);
}

class NetlinkNf implements Nf {
  #manifest: Manifest | undefined;
  #seq = 1;

  constructor(
    private readonly exchange: Exchange,
    private readonly features: NfFeatures,
  ) {}

  adopt(manifest: Manifest): void {
    this.#manifest = manifest;
  }

  async transact(
    changes: readonly ElementChange[],
    options?: { readonly separate?: boolean },
  ): Promise<readonly RefusedChange[]> {
    return changes.length === 0 ? [] : this.prepare(changes, options)();
  }

  prepare(changes: readonly ElementChange[], { separate = false } = {}): SendChanges {
    const { features } = this;
    const batch = elementBatch(this.#known(), changes, { features, firstSeq: this.#seq, separate });
    this.#take(batch.nextSeq - this.#seq);
    return async (committed) => {
      if (committed !== undefined) batch.askGeneration();
      const { refused, generation } = await this.exchange.transact(batch.bytes);
      assertNotPassing(refused);
      if (generation !== undefined) committed?.(generation);
      return this.#refusedBy(refused, batch, changes);
    };
  }

  #refusedBy(
    refused: readonly Acknowledgement[],
    { changesOf }: ElementBatch,
    changes: readonly ElementChange[],
  ): readonly RefusedChange[] {
    const failed = new Map<number, RefusedChange>();
    for (const acknowledgement of refused) {
      const run = changesOf(acknowledgement.seq);
      // Refused at its begin or its end: no change is to blame alone.
      if (run === undefined) throw new KernelRefusal(acknowledgement);
      for (let index = run.from; index < run.to; index++) {
        const change = changes[index] as ElementChange;
        failed.set(index, { index, error: this.#refusal(change, new KernelRefusal(acknowledgement)) });
      }
    }
    return [...failed.values()];
  }

  validate(changes: readonly ElementChange[]): void {
    let target: SetTarget | undefined;
    for (const change of changes) {
      if (target?.index !== change.set) target = this.#target(change.set);
      assertChange(target, change);
    }
  }

  async change(changes: readonly ElementChange[]): Promise<void> {
    const [first] = await this.transact(changes);
    if (first !== undefined) throw first.error;
  }

  async get(set: SetIndex, key: ElementKey): Promise<ElementState | undefined> {
    const target = this.#target(set);
    assertKey(target, key);
    const keyEnd = target.of.interval ? (key.keyEnd ?? key.key) : undefined;
    const asked = target.pairs || keyEnd === undefined ? { key: key.key } : { key: key.key, keyEnd };
    const found = await this.#element(target, asked);
    if (found?.key === undefined || Buffer.compare(found.key, key.key) !== 0) return undefined;
    if (!target.pairs || keyEnd === undefined) {
      const same = keyEnd === undefined || (found.keyEnd !== undefined && Buffer.compare(found.keyEnd, keyEnd) === 0);
      return same ? elementState(found) : undefined;
    }
    return (await this.#endsAt(target, keyEnd)) ? elementState(found, keyEnd) : undefined;
  }

  async dump(set: SetIndex, { reset = false } = {}): Promise<ElementState[]> {
    const target = this.#target(set);
    if (reset && !this.features.resetElements) {
      throw new PosternError('unsupported', 'reading and zeroing set counters needs Linux 6.5 or later');
    }
    // What a reset has read is read: it is never repeated, and what it missed keeps counting in the kernel.
    if (reset) return elementStates(await this.#list(target, true));
    const lists: ElementState[][] = [];
    for (let attempt = 1; ; attempt++) {
      const list = await this.#list(target, false);
      const complete = await this.#complete(target, list);
      lists.push(await elementStates(list));
      if (complete) return lists.at(-1) as ElementState[];
      if (attempt === DUMP_ATTEMPTS) break;
      await setTimeout(DUMP_RETRY_MS);
    }
    // Half an interval can't be told from a longer one; single elements are right, and all lists together the fullest.
    if (target.pairs) throw new PosternError('busy', `set ${target.set}: it changes faster than it can be listed`);
    return unitedStates(lists);
  }

  async object(index: ObjectIndex, { reset = false } = {}): Promise<ObjectState> {
    const { counter, quota } = await this.#readObject(this.#address(index), reset);
    if (quota !== undefined) return { limitBytes: quota.limitBytes, usedBytes: quota.usedBytes };
    return counter ?? {};
  }

  async allow(index: ObjectIndex, limitBytes: bigint, { reset = false } = {}): Promise<void> {
    const object = this.#address(index);
    const { quota } = await this.#readObject(object, false);
    if (quota === undefined) throw new PosternError('internal', `${object.name} is no quota`);
    const writer = new MessageWriter(512);
    writeBatchBegin(writer, this.#take(1));
    const at = writer.length;
    // What was used is left alone, but must not be more than the limit.
    writeQuotaObject(writer, FLAG.CREATE, this.#take(1), object, { ...quota, limitBytes, usedBytes: 0n });
    writer.addFlags(at, FLAG.ACK);
    writeBatchEnd(writer, this.#take(1));
    const [refused] = (await this.exchange.transact(writer.finish())).refused;
    if (refused !== undefined) throw new KernelRefusal(refused);
    if (reset) await this.#readObject(object, true);
  }

  #address(index: ObjectIndex): Required<ObjectAddress> & { readonly kind: string } {
    const manifest = this.#known();
    const object = manifest.objects[index];
    const table = manifest.tables.find(({ family }) => family === object?.table);
    if (object === undefined || table === undefined) {
      throw new PosternError('not-found', `object ${index}: the manifest has ${manifest.objects.length}`);
    }
    const { name, kind } = object;
    return { family: NFPROTO[object.table], table: table.name, name, type: OBJECT_TYPE[kind], kind };
  }

  async #readObject(object: Required<ObjectAddress> & { readonly kind: string }, reset: boolean): Promise<WireObject> {
    const writer = new MessageWriter(256);
    writeObjectRequest(writer, reset ? NFT.GETOBJ_RESET : NFT.GETOBJ, 0, this.#take(1), object);
    const answer = (await this.#request(writer, `${object.kind} ${object.name}`))[0];
    if (answer === undefined) throw new PosternError('not-found', `${object.kind} ${object.name}: not in the kernel`);
    return readObject(answer.body);
  }

  async generation(): Promise<Generation> {
    const writer = new MessageWriter(64);
    writeGenerationRequest(writer, this.#take(1));
    const answer = (await this.exchange.request(writer.finish()))[0];
    if (answer === undefined) throw new PosternError('kernel', 'the kernel did not tell its generation');
    return readGeneration(answer.body);
  }

  /** Does the list hold what the set has? Where elements expire their number says nothing. */
  async #complete(target: SetTarget, { disturbed, count }: PackedElements): Promise<boolean> {
    if (disturbed) return false;
    if (target.pairs || target.of.timeout) return true;
    const writer = new MessageWriter(128);
    writeSetHeaderRequest(writer, this.#take(1), target);
    const answer = (await this.#request(writer, `set ${target.set}`))[0];
    return answer === undefined || count >= (readSetHeader(answer.body).count ?? 0);
  }

  async #element(target: SetTarget, element: WireElement): Promise<WireElement | undefined> {
    const writer = new MessageWriter(256);
    writeElements(writer, NFT.GETSETELEM, 0, this.#take(1), target, [element]);
    const answers = await this.#request(writer, `set ${target.set}`);
    return answers[0] && readElements(answers[0].body).elements[0];
  }

  /** Is there the end of an interval right behind `last`? The top of the space needs none. */
  async #endsAt(target: SetTarget, last: Uint8Array): Promise<boolean> {
    const behind = successor(last);
    if (behind === undefined) return true;
    const end = await this.#element(target, { key: behind, intervalEnd: true });
    return end?.key !== undefined && Buffer.compare(end.key, behind) === 0;
  }

  async #list(target: SetTarget, reset: boolean): Promise<PackedElements> {
    const writer = new MessageWriter(256);
    const type = reset ? NFT.GETSETELEM_RESET : NFT.GETSETELEM;
    writeSetRequest(writer, type, FLAG.DUMP, this.#take(1), target);
    // A datagram holds some hundred elements; a table that changes may take several times as many.
    const bounds = { maxDatagrams: 256 + Math.ceil(target.of.size / 16), timeoutMs: DUMP_TIMEOUT_MS };
    try {
      return await this.exchange.list(writer.finish(), bounds, { pairs: target.pairs, reset });
    } catch (error) {
      throw this.#readFailure(`set ${target.set}`, error);
    }
  }

  /** An empty answer means that it doesn't exist. */
  async #request(writer: MessageWriter, what: string): Promise<NetlinkMessage[]> {
    try {
      return await this.exchange.request(writer.finish());
    } catch (error) {
      if (error instanceof KernelRefusal && error.errno === ERRNO.ENOENT) return [];
      throw this.#readFailure(what, error);
    }
  }

  #readFailure(what: string, error: unknown): unknown {
    if (!(error instanceof KernelRefusal)) return error;
    if (error.errno === ERRNO.ENOENT) {
      return new PosternError('not-found', `${what}: not in the kernel`, { cause: error });
    }
    return new PosternError('kernel', `${what}: ${error.message}`, { cause: error });
  }

  #refusal(change: ElementChange, refusal: KernelRefusal): PosternError {
    const { set, of } = this.#target(change.set);
    if (refusal.errno === ERRNO.ENFILE) {
      return new PosternError('full', `set ${set}: full, it holds ${of.size} elements; raise its size`, {
        cause: refusal,
      });
    }
    const reason = reasons.get(refusal.errno) ?? refusalText(refusal.acknowledgement);
    return new PosternError('kernel', `set ${set}: ${change.op}: ${reason}`, { cause: refusal });
  }

  #target(set: SetIndex): SetTarget {
    return setTarget(this.#known(), set);
  }

  #known(): Manifest {
    if (this.#manifest === undefined) throw new PosternError('internal', 'no manifest was adopted or loaded');
    return this.#manifest;
  }

  /** Takes `count` sequence numbers and answers the first. */
  #take(count: number): number {
    // Start over long before 32 bits are used up; answers are never older than one request.
    if (this.#seq > 0x7fff_0000) this.#seq = 1;
    const first = this.#seq;
    this.#seq += count;
    return first;
  }
}

/** Says nothing of the changes: another transaction came in between, or the kernel had no memory. */
const passing: ReadonlySet<number> = new Set([ERRNO.ERESTART, ERRNO.EAGAIN, ERRNO.EINTR, ERRNO.ENOMEM, ERRNO.ENOBUFS]);

/** @throws PosternError `busy` */
function assertNotPassing(refused: readonly Acknowledgement[]): void {
  const first = refused.find(({ errno }) => passing.has(errno));
  if (first === undefined) return;
  throw new PosternError('busy', `the kernel could not take a transaction just now: ${refusalText(first)}; try again`, {
    cause: new KernelRefusal(first),
  });
}

const reasons = new Map<number, string>([
  [ERRNO.ENOENT, 'the set is not in the kernel (ENOENT)'],
  [ERRNO.EEXIST, 'the interval overlaps another one (EEXIST)'],
  [ERRNO.EINVAL, 'the key does not fit the set (EINVAL)'],
]);
