/** Columns of listed elements into what the engine works with. */

import { setImmediate } from 'node:timers/promises';
import type { WireElement } from '../wire/nftables-elements.js';
import { MARK, type PackedElements, unpackCounter } from '../wire/nftables-packed-elements.js';
import type { ElementState } from './kernel.js';

/** Elements made into objects before the event loop gets its turn: about a millisecond. */
const SLICE = 2_000;

/** Every element, a slice in each turn of the event loop. */
export async function elementStates(packed: PackedElements): Promise<ElementState[]> {
  const states: ElementState[] = [];
  for (let index = 0; index < packed.count; index++) {
    if (index > 0 && index % SLICE === 0) await setImmediate();
    states.push(packedState(packed, index));
  }
  return states;
}

/** What several listings found together; the later ones are right about an element. */
export function unitedStates(lists: readonly (readonly ElementState[])[]): ElementState[] {
  const united = new Map<string, ElementState>();
  for (const list of lists) for (const state of list) united.set(identity(state), state);
  return [...united.values()];
}

function packedState(packed: PackedElements, index: number): ElementState {
  const { keyBytes, keys, keyEnds, marks, timeouts, expiries, counters, comments } = packed;
  const at = index * keyBytes;
  const state: Mutable<ElementState> = { key: keys.subarray(at, at + keyBytes) };
  if (keyEnds.length > 0) state.keyEnd = keyEnds.subarray(at, at + keyBytes);
  if (timeouts[index] !== 0) state.timeoutMs = timeouts[index] as number;
  if (expiries[index] !== 0) state.expiresMs = expiries[index] as number;
  if (((marks[index] as number) & MARK.COUNTER) !== 0) {
    const { packets, bytes } = unpackCounter(counters, index);
    state.packets = packets;
    state.bytes = bytes;
  }
  const comment = comments.size === 0 ? undefined : comments.get(index);
  if (comment !== undefined) state.comment = comment;
  return state;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One element that was read whole. */
export function elementState(element: WireElement, keyEnd = element.keyEnd): ElementState {
  const { key, timeoutMs, expiresMs, counter, quota, comment } = element;
  return {
    key: key as Uint8Array,
    ...(keyEnd === undefined ? {} : { keyEnd }),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(expiresMs ? { expiresMs } : {}),
    ...(counter === undefined ? {} : counter),
    ...(quota === undefined ? {} : { limitBytes: quota.limitBytes, usedBytes: quota.usedBytes }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function identity({ key, keyEnd }: ElementState): string {
  return keyEnd === undefined ? latin1(key) : `${latin1(key)}-${latin1(keyEnd)}`;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
