/** Writes messages about set elements: the attributes are those of nftables-elements.ts. */

import { FLAG, type MessageWriter } from './netlink.js';
import { writeNfgenmsg } from './nfnetlink.js';
import {
  CATCH_ALL,
  DATA_VALUE,
  ELEM,
  INTERVAL_END,
  LIST,
  LIST_ELEM,
  MAX_COMMENT_BYTES,
  type SetAddress,
  USERDATA_COMMENT,
  type WireElement,
} from './nftables-elements.js';
import { writeCounter, writeQuota } from './nftables-expressions.js';

/** An element list is an attribute: at most 64 KiB. Beyond this many bytes a new message is begun. */
const LIST_BYTES = 60_000;

/** Elements that are made when they are asked for, in order; an array is one too. */
export interface ElementSource {
  readonly length: number;
  /** undefined: none at this place. */
  at(index: number): WireElement | undefined;
}

/**
 * Writes one message with as many of `elements` (from index `from` on) as fit, and answers the index of the first that
 * didn't. `type` is NFT.NEWSETELEM, DELSETELEM, DESTROYSETELEM, GETSETELEM or GETSETELEM_RESET.
 */
export function writeElements(
  writer: MessageWriter,
  type: number,
  flags: number,
  seq: number,
  set: SetAddress,
  elements: ElementSource,
  from = 0,
): number {
  beginElementMessage(writer, type, flags, seq, set);
  const list = writer.open(LIST.ELEMENTS);
  let next = from;
  for (; next < elements.length && writer.length - list < LIST_BYTES; next++) {
    const element = elements.at(next);
    if (element !== undefined) writeElement(writer, element);
  }
  writer.close(list);
  writer.end();
  return next;
}

/** DELSETELEM without elements empties the set; GETSETELEM with FLAG.DUMP lists it. */
export function writeSetRequest(
  writer: MessageWriter,
  type: number,
  flags: number,
  seq: number,
  set: SetAddress,
): void {
  beginElementMessage(writer, type, flags, seq, set);
  writer.end();
}

function beginElementMessage(writer: MessageWriter, type: number, flags: number, seq: number, set: SetAddress): void {
  writer.begin(type, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, set.family);
  writer.text(LIST.TABLE, set.table);
  writer.text(LIST.SET, set.set);
}

function writeElement(writer: MessageWriter, element: WireElement): void {
  const at = writer.open(LIST_ELEM);
  const flags = (element.intervalEnd ? INTERVAL_END : 0) | (element.key === undefined ? CATCH_ALL : 0);
  // In the order of libnftnl, so that traces can be compared.
  if (flags !== 0) writer.u32(ELEM.FLAGS, flags);
  if (element.timeoutMs !== undefined) writer.u64(ELEM.TIMEOUT, element.timeoutMs);
  if (element.expiresMs !== undefined) writer.u64(ELEM.EXPIRATION, element.expiresMs);
  if (element.key !== undefined) writeValue(writer, ELEM.KEY, element.key);
  if (element.keyEnd !== undefined) writeValue(writer, ELEM.KEY_END, element.keyEnd);
  if (element.data !== undefined) writeValue(writer, ELEM.DATA, element.data);
  if (element.comment !== undefined) writer.bytes(ELEM.USERDATA, commentRecord(element.comment));
  if (element.object !== undefined) writer.text(ELEM.OBJREF, element.object);
  writeExpressions(writer, element);
  writer.close(at);
}

function writeValue(writer: MessageWriter, type: number, value: Uint8Array): void {
  const at = writer.open(type);
  writer.bytes(DATA_VALUE, value);
  writer.close(at);
}

function commentRecord(comment: string): Uint8Array {
  const text = Buffer.from(comment);
  if (text.length > MAX_COMMENT_BYTES) throw new RangeError(`comment of ${text.length} bytes`);
  return Buffer.concat([Uint8Array.of(USERDATA_COMMENT, text.length + 1), text, Uint8Array.of(0)]);
}

function writeExpressions(writer: MessageWriter, { counter, quota }: WireElement): void {
  if (counter === undefined && quota === undefined) return;
  // A single expression has its own attribute, which kernels before 5.11 know too.
  const several = counter !== undefined && quota !== undefined;
  const list = several ? writer.open(ELEM.EXPRESSIONS) : 0;
  const type = several ? LIST_ELEM : ELEM.EXPR;
  if (counter !== undefined) writeCounter(writer, type, counter);
  if (quota !== undefined) writeQuota(writer, type, quota);
  if (several) writer.close(list);
}
