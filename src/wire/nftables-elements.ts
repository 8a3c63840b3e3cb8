/**
 * Set elements of nf_tables: NEWSETELEM, DELSETELEM, DESTROYSETELEM, GETSETELEM and what the kernel answers.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | list | 1 TABLE, 2 SET | text |
 * | list | 3 ELEMENTS | nested: 1 LIST_ELEM, each an element |
 * | element | 1 KEY, 10 KEY_END | nested: 1 VALUE, the key's bytes |
 * | element | 2 DATA | nested: 1 VALUE, or 2 VERDICT |
 * | element | 3 FLAGS | u32: 1 INTERVAL_END, 2 CATCHALL |
 * | element | 4 TIMEOUT, 5 EXPIRATION | u64 milliseconds; EXPIRATION is what is left |
 * | element | 6 USERDATA | records {type u8, length u8, bytes}; type 0 is the comment with its NUL |
 * | element | 7 EXPR | expression |
 * | element | 9 OBJREF | name of the object it maps to |
 * | element | 11 EXPRESSIONS | nested: 1 LIST_ELEM, each an expression |
 * | expression | 1 NAME, 2 DATA | text, nested |
 * | counter | 1 BYTES, 2 PACKETS | u64 |
 * | quota | 1 BYTES, 2 FLAGS, 4 CONSUMED | u64, u32 (1 over), u64 |
 *
 * Keys: every part of a concatenation is padded to 4 bytes. An interval of a plain set is two elements, its start and,
 * flagged INTERVAL_END, the value behind its end (none when the interval reaches the top). An interval of a
 * concatenation is one element whose KEY_END is inclusive.
 */

import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeMap,
  attributeType,
  FLAG,
  type MessageWriter,
  malformed,
  readText,
  readU32be,
  readU64be,
} from './netlink.js';
import { readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';

const LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const LIST_ELEM = 1;
const ELEM = {
  KEY: 1,
  DATA: 2,
  FLAGS: 3,
  TIMEOUT: 4,
  EXPIRATION: 5,
  USERDATA: 6,
  EXPR: 7,
  OBJREF: 9,
  KEY_END: 10,
  EXPRESSIONS: 11,
} as const;
const DATA_VALUE = 1;
const EXPRESSION = { NAME: 1, DATA: 2 } as const;
const COUNTER = { BYTES: 1, PACKETS: 2 } as const;
const QUOTA = { BYTES: 1, FLAGS: 2, CONSUMED: 4 } as const;
const QUOTA_OVER = 1;
const USERDATA_COMMENT = 0;
const INTERVAL_END = 1;
const CATCH_ALL = 2;

/** An element list is an attribute: at most 64 KiB. Beyond this many bytes a new message is begun. */
const LIST_BYTES = 60_000;
/** The longest comment, in bytes of UTF-8 (NFTNL_UDATA_COMMENT_MAXLEN less its NUL). */
export const MAX_COMMENT_BYTES = 127;

export interface CounterValue {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface QuotaValue {
  readonly limitBytes: bigint;
  readonly usedBytes: bigint;
  readonly over: boolean;
}

/** One element on the wire. */
export interface WireElement {
  /** Absent: the catch-all element, `*`. */
  readonly key?: Uint8Array;
  /** Inclusive upper bound; concatenations only. */
  readonly keyEnd?: Uint8Array;
  /** Closes the interval that starts below `key`; plain interval sets only. */
  readonly intervalEnd?: boolean;
  /** 0: permanent, whatever the set's default is. */
  readonly timeoutMs?: number;
  /** What is left of the timeout. */
  readonly expiresMs?: number;
  readonly comment?: string;
  readonly counter?: CounterValue;
  readonly quota?: QuotaValue;
  /** Maps: the value's bytes. */
  readonly data?: Uint8Array;
  /** Object maps: name of the object. */
  readonly object?: string;
}

/** Which set a message is about. */
export interface SetAddress {
  readonly family: number;
  readonly table: string;
  readonly set: string;
}

/** Elements that are made when they are asked for, in order; an array is one too. */
export interface ElementSource {
  readonly length: number;
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
    writeElement(writer, elements.at(next) as WireElement);
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

function writeCounter(writer: MessageWriter, type: number, counter: CounterValue): void {
  const expression = writer.open(type);
  writer.text(EXPRESSION.NAME, 'counter');
  const data = writer.open(EXPRESSION.DATA);
  writer.u64big(COUNTER.BYTES, counter.bytes);
  writer.u64big(COUNTER.PACKETS, counter.packets);
  writer.close(data);
  writer.close(expression);
}

function writeQuota(writer: MessageWriter, type: number, quota: QuotaValue): void {
  const expression = writer.open(type);
  writer.text(EXPRESSION.NAME, 'quota');
  const data = writer.open(EXPRESSION.DATA);
  writeQuotaValue(writer, quota);
  writer.close(data);
  writer.close(expression);
}

/** A quota's payload, of an element or of a named object. */
export function writeQuotaValue(writer: MessageWriter, { limitBytes, usedBytes, over }: QuotaValue): void {
  writer.u64big(QUOTA.BYTES, limitBytes);
  writer.u32(QUOTA.FLAGS, over ? QUOTA_OVER : 0);
  writer.u64big(QUOTA.CONSUMED, usedBytes);
}

/** What an element message says. */
export interface ElementMessage extends SetAddress {
  /** Low 16 bits of the generation in answers to a dump. */
  readonly resource: number;
  readonly elements: WireElement[];
}

/**
 * Reads the body of a NEWSETELEM, DELSETELEM or DESTROYSETELEM message. Keys are copies: the datagram may be reused.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readElements(body: Buffer): ElementMessage {
  const { family, resource, attributesAt } = readNfgenmsg(body);
  const elements: WireElement[] = [];
  let table = '';
  let set = '';
  for (let at = attributesAt, end = 0; at < body.length; at = align(end)) {
    end = attributeEnd(body, at, body.length);
    const from = at + ATTRIBUTE_HEADER_BYTES;
    const type = attributeType(body, at);
    if (type === LIST.TABLE) table = readText(body.subarray(from, end));
    else if (type === LIST.SET) set = readText(body.subarray(from, end));
    else if (type === LIST.ELEMENTS) readElementList(body, from, end, elements);
  }
  return { family, resource, table, set, elements };
}

function readElementList(data: Buffer, from: number, to: number, elements: WireElement[]): void {
  for (let at = from, end = 0; at < to; at = align(end)) {
    end = attributeEnd(data, at, to);
    elements.push(readElement(data, at + ATTRIBUTE_HEADER_BYTES, end));
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readElement(data: Buffer, from: number, to: number): WireElement {
  const element: Mutable<WireElement> = {};
  for (let at = from, end = 0; at < to; at = align(end)) {
    end = attributeEnd(data, at, to);
    readElementAttribute(data, attributeType(data, at), at + ATTRIBUTE_HEADER_BYTES, end, element);
  }
  return element;
}

function readElementAttribute(data: Buffer, type: number, from: number, end: number, element: Mutable<WireElement>) {
  switch (type) {
    case ELEM.KEY:
      element.key = readValue(data, from, end);
      break;
    case ELEM.KEY_END:
      element.keyEnd = readValue(data, from, end);
      break;
    case ELEM.DATA:
      element.data = readValue(data, from, end);
      break;
    case ELEM.FLAGS:
      if ((readU32be(data.subarray(from, end)) & INTERVAL_END) !== 0) element.intervalEnd = true;
      break;
    case ELEM.TIMEOUT:
      element.timeoutMs = readMilliseconds(data, from, end);
      break;
    case ELEM.EXPIRATION:
      element.expiresMs = readMilliseconds(data, from, end);
      break;
    case ELEM.USERDATA:
      element.comment = readComment(data.subarray(from, end));
      break;
    case ELEM.OBJREF:
      element.object = readText(data.subarray(from, end));
      break;
    case ELEM.EXPR:
      readExpression(data, from, end, element);
      break;
    case ELEM.EXPRESSIONS:
      for (let at = from, stop = 0; at < end; at = align(stop)) {
        stop = attributeEnd(data, at, end);
        readExpression(data, at + ATTRIBUTE_HEADER_BYTES, stop, element);
      }
      break;
  }
}

function readMilliseconds(data: Buffer, from: number, end: number): number {
  if (end - from !== 8) throw malformed(`64-bit number of ${end - from} bytes`, from);
  return data.readUInt32BE(from) * 0x1_0000_0000 + data.readUInt32BE(from + 4);
}

/** The VALUE of a NFTA_DATA; undefined for a verdict. */
function readValue(data: Buffer, from: number, to: number): Uint8Array | undefined {
  for (let at = from, end = 0; at < to; at = align(end)) {
    end = attributeEnd(data, at, to);
    if (attributeType(data, at) === DATA_VALUE) return copyOf(data, at + ATTRIBUTE_HEADER_BYTES, end);
  }
  return undefined;
}

/** A plain copy: a view would keep the whole datagram in memory, and its buffer is reused. */
function copyOf(data: Buffer, from: number, to: number): Uint8Array {
  const copy = new Uint8Array(to - from);
  for (let index = 0; index < copy.length; index++) copy[index] = data[from + index] as number;
  return copy;
}

function readComment(userdata: Buffer): string | undefined {
  for (let at = 0; at + 2 <= userdata.length; ) {
    const end = at + 2 + (userdata[at + 1] as number);
    if (userdata[at] === USERDATA_COMMENT) return readText(userdata.subarray(at + 2, end));
    at = end;
  }
  return undefined;
}

function readExpression(data: Buffer, from: number, to: number, element: Mutable<WireElement>): void {
  let name = '';
  for (let at = from, end = 0; at < to; at = align(end)) {
    end = attributeEnd(data, at, to);
    const type = attributeType(data, at);
    // The kernel writes the name first.
    if (type === EXPRESSION.NAME) name = readText(data.subarray(at + ATTRIBUTE_HEADER_BYTES, end));
    else if (type === EXPRESSION.DATA && name === 'counter') element.counter = readCounter(data, at + 4, end);
    else if (type === EXPRESSION.DATA && name === 'quota') element.quota = readQuota(data, at + 4, end);
  }
}

/** A counter's payload, of an element or of a named object. */
export function readCounter(data: Buffer, from: number, to: number): CounterValue {
  const found = attributeMap(data, from, to);
  const bytes = found.get(COUNTER.BYTES);
  const packets = found.get(COUNTER.PACKETS);
  if (bytes === undefined || packets === undefined) throw malformed('counter without its numbers', from);
  return { packets: readU64be(packets), bytes: readU64be(bytes) };
}

/** A quota's payload, of an element or of a named object. */
export function readQuota(data: Buffer, from: number, to: number): QuotaValue {
  const found = attributeMap(data, from, to);
  const limit = found.get(QUOTA.BYTES);
  const flags = found.get(QUOTA.FLAGS);
  const consumed = found.get(QUOTA.CONSUMED);
  if (limit === undefined) throw malformed('quota without its limit', from);
  return {
    limitBytes: readU64be(limit),
    usedBytes: consumed === undefined ? 0n : readU64be(consumed),
    over: flags !== undefined && (readU32be(flags) & QUOTA_OVER) !== 0,
  };
}
