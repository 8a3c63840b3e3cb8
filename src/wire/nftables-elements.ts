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
 * | element | 11 EXPRESSIONS | nested: 1 LIST_ELEM, each an expression (nftables-expressions.ts) |
 *
 * Keys: every part of a concatenation is padded to 4 bytes. An interval of a plain set is two elements, its start and,
 * flagged INTERVAL_END, the value behind its end (none when the interval reaches the top). An interval of a
 * concatenation is one element whose KEY_END is inclusive.
 */

import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeType,
  malformed,
  readText,
  readU32be,
} from './netlink.js';
import { readNfgenmsg } from './nfnetlink.js';
import { type CounterValue, EXPRESSION, type QuotaValue, readCounter, readQuota } from './nftables-expressions.js';

export const LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const LIST_ELEM = 1;
export const ELEM = {
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
export const DATA_VALUE = 1;
export const USERDATA_COMMENT = 0;
export const INTERVAL_END = 1;
export const CATCH_ALL = 2;

/** The longest comment, in bytes of UTF-8 (NFTNL_UDATA_COMMENT_MAXLEN less its NUL). */
export const MAX_COMMENT_BYTES = 127;

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
