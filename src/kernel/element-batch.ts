/** Element changes as one nf_tables transaction, and a refusal of the kernel back to the changes it means. Pure. */

import type { Manifest, ManifestSet } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { addFlags, FLAG, MessageWriter } from '../wire/netlink.js';
import { NFPROTO, writeBatchBegin, writeBatchEnd } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { type ElementSource, writeElements, writeSetRequest } from '../wire/nftables-element-writer.js';
import { MAX_COMMENT_BYTES, type SetAddress, type WireElement } from '../wire/nftables-elements.js';
import type { ElementChange, ElementKey, SetIndex } from './kernel.js';

/** What this kernel can do with elements; found out by the probe. */
export interface ElementFeatures {
  /** DESTROYSETELEM: delete if present (6.3). */
  readonly destroy: boolean;
  /** Adding an element again sets its timeout (6.12). */
  readonly updateTimeout: boolean;
}

/** A set as the wire needs it. */
export interface SetTarget extends SetAddress {
  readonly index: SetIndex;
  readonly of: ManifestSet;
  /** Intervals as start and end elements; a concatenation with intervals has KEY_END instead. */
  readonly pairs: boolean;
}

/** What was worked out before, by manifest and index: this is asked for every change. */
const targets = new WeakMap<Manifest, Map<SetIndex, SetTarget>>();

/** @throws PosternError `not-found` when the manifest has no such set. */
export function setTarget(manifest: Manifest, index: SetIndex): SetTarget {
  let known = targets.get(manifest);
  if (known === undefined) {
    known = new Map();
    targets.set(manifest, known);
  }
  let target = known.get(index);
  if (target === undefined) {
    target = makeTarget(manifest, index);
    known.set(index, target);
  }
  return target;
}

function makeTarget(manifest: Manifest, index: SetIndex): SetTarget {
  const of = manifest.sets[index];
  if (of === undefined) throw new PosternError('not-found', `set ${index}: the manifest has ${manifest.sets.length}`);
  const table = manifest.tables.find(({ family }) => family === of.table);
  if (table === undefined) throw new PosternError('internal', `set ${of.name}: the manifest has no ${of.table} table`);
  return {
    index,
    of,
    family: NFPROTO[of.table],
    table: table.name,
    set: of.name,
    pairs: of.interval && of.key.length === 1,
  };
}

/** A run of changes that one message carries. */
interface Run {
  readonly seq: number;
  readonly from: number;
  readonly to: number;
}

export interface ElementBatch {
  readonly bytes: Buffer;
  /** Which changes the kernel refused by refusing the message of this number; undefined: the batch as a whole. */
  changesOf(seq: number): { readonly from: number; readonly to: number } | undefined;
  /** The next free sequence number. */
  readonly nextSeq: number;
  /** Before it is sent: the kernel is to tell the generation that the transaction makes. */
  askGeneration(): void;
}

export interface BatchOptions {
  readonly features: ElementFeatures;
  readonly firstSeq: number;
  /** One change per message, so that each refusal names its change. */
  readonly separate?: boolean;
}

/** What a batch takes besides its elements, and an element: mostly enough. */
const FRAME_BYTES = 160;
const ELEMENT_BYTES = 48;

type Step = { readonly type: number; readonly flags: number };
const ADD: Step = { type: NFT.NEWSETELEM, flags: FLAG.CREATE };
const DELETE: Step = { type: NFT.DELSETELEM, flags: 0 };
const DESTROY: Step = { type: NFT.DESTROYSETELEM, flags: 0 };

/**
 * Encodes changes in their order.
 * @throws PosternError `invalid` for a change that its set can't take, `not-found` for an unknown set.
 */
export function elementBatch(
  manifest: Manifest,
  changes: readonly ElementChange[],
  { features, firstSeq, separate = false }: BatchOptions,
): ElementBatch {
  const writer = new MessageWriter(FRAME_BYTES + Math.min(changes.length, 100_000) * ELEMENT_BYTES);
  const runs: Run[] = [];
  let seq = firstSeq;
  let lastAt = 0;
  writeBatchBegin(writer, seq++);
  const firstAt = writer.length;
  for (let from = 0; from < changes.length; ) {
    const first = changes[from] as ElementChange;
    // The first one alone, because the kernel echoes all that a message changes which asks for the generation.
    const to = separate || from === 0 ? from + 1 : endOfRun(changes, from);
    const target = setTarget(manifest, first.set);
    const started = seq;
    for (const step of stepsOf(first, features)) {
      if (first.op === 'flush') {
        lastAt = writer.length;
        writeSetRequest(writer, step.type, step.flags, seq++, target);
        continue;
      }
      const elements = wireElements(target, changes, from, to, step);
      for (let next = 0; next < elements.length; ) {
        lastAt = writer.length;
        next = writeElements(writer, step.type, step.flags, seq++, target, elements, next);
      }
    }
    for (let used = started; used < seq; used++) runs.push({ seq: used, from, to });
    from = to;
  }
  // Only here: older kernels don't acknowledge BATCH_END, and thousands of acknowledgements overflow the socket.
  if (lastAt > 0) writer.addFlags(lastAt, FLAG.ACK);
  writeBatchEnd(writer, seq++);
  const base = firstSeq + 1;
  const bytes = writer.finish();
  return {
    bytes,
    nextSeq: seq,
    changesOf: (failed) => runs[failed - base],
    // The first message behind the batch's begin is whom the kernel answers.
    askGeneration: () => addFlags(bytes, firstAt, FLAG.ECHO),
  };
}

/** Changes of one kind to one set share messages. */
function endOfRun(changes: readonly ElementChange[], from: number): number {
  const { op, set } = changes[from] as ElementChange;
  let to = from + 1;
  while (op !== 'flush' && to < changes.length && changes[to]?.op === op && changes[to]?.set === set) to++;
  return to;
}

/**
 * Without DESTROYSETELEM a delete is made sure of by an add before it, without updates an add by a delete before it;
 * within a transaction nobody sees the steps between.
 */
function stepsOf(change: ElementChange, features: ElementFeatures): readonly Step[] {
  if (change.op === 'flush') return [DELETE];
  const remove = features.destroy ? [DESTROY] : [ADD, DELETE];
  if (change.op === 'delete') return remove;
  return features.updateTimeout ? [ADD] : [...remove, ADD];
}

type KeyChange = Exclude<ElementChange, { op: 'flush' }>;

/** Made when they are asked for: arrays of a hundred thousand are a burden on the memory's collector. */
function wireElements(
  target: SetTarget,
  changes: readonly ElementChange[],
  from: number,
  to: number,
  step: Step,
): ElementSource {
  if (!target.pairs) return { length: to - from, at: (index) => wireElement(target, changes[from + index], step) };
  return {
    length: 2 * (to - from),
    at: (index) => {
      const change = changes[from + (index >> 1)];
      return index % 2 === 0 ? wireElement(target, change, step) : endElement(change as KeyChange);
    },
  };
}

/** The element that ends an interval; the top of the space needs none. */
function endElement({ key, keyEnd = key }: KeyChange): WireElement | undefined {
  const behind = successor(keyEnd);
  return behind && { key: behind, intervalEnd: true };
}

function wireElement(target: SetTarget, given: ElementChange | undefined, step: Step): WireElement {
  const change = given as KeyChange;
  assertChange(target, change);
  const element: Mutable<WireElement> = { key: change.key };
  if (target.of.interval && !target.pairs) element.keyEnd = change.keyEnd ?? change.key;
  if (step !== ADD || change.op !== 'add') return element;
  // 0 makes a timed element permanent again and overrides the set's default.
  if (target.of.timeout) element.timeoutMs = change.timeoutMs ?? 0;
  if (change.comment !== undefined) element.comment = change.comment;
  if (change.data !== undefined) element.data = change.data;
  return element;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** @throws PosternError `invalid` when the set can't take this change. */
export function assertChange(target: SetTarget, change: ElementChange): void {
  if (change.op === 'flush') return;
  assertKey(target, change);
  if (change.op === 'delete') return;
  const { timeoutMs, comment, data } = change;
  if ((data !== undefined) !== (target.of.data !== undefined)) {
    throw new PosternError(
      'invalid',
      `set ${target.set}: ${data === undefined ? 'a map' : 'it'} ${data === undefined ? 'takes a value with each key' : 'is no map'}`,
    );
  }
  if (timeoutMs !== undefined && !target.of.timeout) {
    throw new PosternError('invalid', `set ${target.set}: its elements have no timeout`);
  }
  if (timeoutMs !== undefined && !(Number.isSafeInteger(timeoutMs) && timeoutMs > 0)) {
    throw new PosternError('invalid', `set ${target.set}: a timeout of ${timeoutMs} ms`);
  }
  if (comment !== undefined && Buffer.byteLength(comment) > MAX_COMMENT_BYTES) {
    throw new PosternError('invalid', `set ${target.set}: a comment has at most ${MAX_COMMENT_BYTES} bytes`);
  }
}

/** @throws PosternError `invalid` when the set can't hold such a key. */
export function assertKey(target: SetTarget, { key, keyEnd }: ElementKey): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new PosternError('invalid', `set ${target.set}: a key of ${key.length} bytes`);
  }
  if (keyEnd === undefined) return;
  if (!target.of.interval && Buffer.compare(key, keyEnd) !== 0) {
    throw new PosternError('invalid', `set ${target.set}: it holds single values, no intervals`);
  }
  if (keyEnd.length !== key.length) {
    throw new PosternError('invalid', `set ${target.set}: an interval from ${key.length} to ${keyEnd.length} bytes`);
  }
}

/** NFT_DATA_VALUE_MAXLEN. */
const MAX_KEY_BYTES = 64;

/** The value behind a key; undefined behind the last one. */
export function successor(key: Uint8Array): Uint8Array | undefined {
  const next = new Uint8Array(key.length);
  let carry = 1;
  for (let index = next.length - 1; index >= 0; index--) {
    const sum = (key[index] as number) + carry;
    next[index] = sum & 0xff;
    carry = sum >> 8;
  }
  return carry === 0 ? next : undefined;
}
