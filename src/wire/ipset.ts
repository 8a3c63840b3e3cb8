/** Commands of the ipset protocol, and their answers; the offsets stand in ipset-attributes.ts. */

import type { Address, Family } from '../net/address.js';
import { ATTR, DATA, NET_ORDER, readAddress, writeAddress } from './ipset-attributes.js';
import { type IpsetElement, readIpsetElements, writeIpsetElement } from './ipset-element.js';
import {
  attributeMap,
  FLAG,
  HEADER_BYTES,
  type MessageWriter,
  malformed,
  type NetlinkMessage,
  readText,
  readU32be,
} from './netlink.js';
import { messageType, NFPROTO, readNfgenmsg, SUBSYSTEM, writeNfgenmsg } from './nfnetlink.js';

const PROTOCOL_VERSION = 7;
const CMD = {
  CREATE: messageType(SUBSYSTEM.IPSET, 2),
  DESTROY: messageType(SUBSYSTEM.IPSET, 3),
  FLUSH: messageType(SUBSYSTEM.IPSET, 4),
  SWAP: messageType(SUBSYSTEM.IPSET, 6),
  LIST: messageType(SUBSYSTEM.IPSET, 7),
  ADD: messageType(SUBSYSTEM.IPSET, 9),
  DELETE: messageType(SUBSYSTEM.IPSET, 10),
  TEST: messageType(SUBSYSTEM.IPSET, 11),
  TYPE: messageType(SUBSYSTEM.IPSET, 13),
} as const;
const LIST_HEADER_ONLY = 4;
const WITH = { COUNTERS: 8, COMMENT: 16, SKBINFO: 64 } as const;
const AF = { 4: 2, 6: 10 } as const;

/** Numbers of refusals beyond the C library's. */
export const IPSET_ERROR = {
  BUSY: 4100,
  TYPE_MISMATCH: 4102,
  EXIST: 4103,
  REFERENCED: 4108,
  /** hash types: the set is full; bitmap types: the address is out of range. */
  FULL_OR_RANGE: 4352,
  NOT_AN_ELEMENT: 4353,
} as const;
/** The longest name of a set. */
export const MAX_IPSET_NAME_BYTES = 31;
export const MAX_IPSET_COMMENT_BYTES = 255;
/** The longest timeout: what the kernel can count in jiffies. */
export const MAX_IPSET_TIMEOUT_SECONDS = 2_147_483;
/** A message's elements are quoted by a refusal: keep both small. */
const MESSAGE_BYTES = 16_000;

export type IpsetType = 'hash:ip' | 'hash:net' | 'hash:ip,port' | 'bitmap:ip';

export interface IpsetShape {
  readonly type: IpsetType;
  readonly family: Family;
  /** Elements have timeouts. */
  readonly timeout: boolean;
  readonly counters: boolean;
  readonly comment: boolean;
  readonly skbinfo: boolean;
  /** Most elements; bitmaps have their range instead. */
  readonly maxElements: number;
  /** Of a bitmap. */
  readonly range?: { readonly first: Address; readonly last: Address };
}

export interface IpsetHeader extends IpsetShape {
  readonly name: string;
  readonly elements: number;
  /** Rules and sets that refer to it. */
  readonly references: number;
}

/** Asks for the newest revision of a type that the kernel knows. */
export function writeIpsetTypeRequest(writer: MessageWriter, seq: number, type: IpsetType, family: Family): void {
  begin(writer, CMD.TYPE, 0, seq);
  writer.text(ATTR.TYPENAME, type);
  writer.u8(ATTR.FAMILY, AF[family]);
  writer.end();
}

/** The revision in the answer to `writeIpsetTypeRequest`. @throws PosternError `kernel` */
export function readIpsetRevision({ body }: NetlinkMessage): number {
  const revision = attributeMap(body, readNfgenmsg(body).attributesAt).get(ATTR.REVISION);
  if (revision?.length !== 1) throw malformed('ipset type without a revision', 0);
  return revision.readUInt8(0);
}

/** Makes a set; it must not exist. */
export function writeIpsetCreate(
  writer: MessageWriter,
  seq: number,
  name: string,
  shape: IpsetShape,
  revision: number,
): void {
  begin(writer, CMD.CREATE, FLAG.ACK | FLAG.CREATE | FLAG.EXCLUSIVE, seq);
  writer.text(ATTR.SETNAME, name);
  writer.text(ATTR.TYPENAME, shape.type);
  writer.u8(ATTR.REVISION, revision);
  writer.u8(ATTR.FAMILY, AF[shape.family]);
  const data = writer.open(ATTR.DATA);
  if (shape.range !== undefined) {
    writeAddress(writer, DATA.IP, shape.range.first);
    writeAddress(writer, DATA.IP_TO, shape.range.last);
  }
  // No default: elements without a timeout of their own are permanent.
  if (shape.timeout) writer.u32(DATA.TIMEOUT | NET_ORDER, 0);
  const flags =
    (shape.counters ? WITH.COUNTERS : 0) | (shape.comment ? WITH.COMMENT : 0) | (shape.skbinfo ? WITH.SKBINFO : 0);
  if (flags !== 0) writer.u32(DATA.FLAGS | NET_ORDER, flags);
  if (shape.range === undefined) writer.u32(DATA.MAXELEM | NET_ORDER, shape.maxElements);
  writer.close(data);
  writer.end();
}

/** Deletes a set that nothing refers to. */
export function writeIpsetDestroy(writer: MessageWriter, seq: number, name: string): void {
  writeNamed(writer, CMD.DESTROY, seq, name);
}

export function writeIpsetFlush(writer: MessageWriter, seq: number, name: string): void {
  writeNamed(writer, CMD.FLUSH, seq, name);
}

function writeNamed(writer: MessageWriter, type: number, seq: number, name: string): void {
  begin(writer, type, FLAG.ACK, seq);
  writer.text(ATTR.SETNAME, name);
  writer.end();
}

/** Exchanges the contents of two sets at once; what refers to a name sees the other's contents from then on. */
export function writeIpsetSwap(writer: MessageWriter, seq: number, name: string, other: string): void {
  begin(writer, CMD.SWAP, FLAG.ACK, seq);
  writer.text(ATTR.SETNAME, name);
  writer.text(ATTR.TYPENAME, other);
  writer.end();
}

/** Asks for one set's header; refused with ENOENT when there is none. */
export function writeIpsetHeaderRequest(writer: MessageWriter, seq: number, name: string): void {
  begin(writer, CMD.LIST, FLAG.DUMP, seq);
  writer.text(ATTR.SETNAME, name);
  writer.u32(ATTR.FLAGS | NET_ORDER, LIST_HEADER_ONLY);
  writer.end();
}

/** Asks for a set's header and elements. */
export function writeIpsetListRequest(writer: MessageWriter, seq: number, name: string): void {
  begin(writer, CMD.LIST, FLAG.DUMP, seq);
  writer.text(ATTR.SETNAME, name);
  writer.end();
}

/** Asks whether an element is in the set; refused with IPSET_ERROR.EXIST when it isn't. */
export function writeIpsetTest(writer: MessageWriter, seq: number, name: string, element: IpsetElement): void {
  begin(writer, CMD.TEST, FLAG.ACK, seq);
  writer.text(ATTR.SETNAME, name);
  writeIpsetElement(writer, element);
  writer.end();
}

/**
 * Writes one message with as many of `elements` (from index `from` on) as fit, and answers the index of the first that
 * didn't. Adding what is there renews it, deleting what isn't there is no error. Elements before a refused one are done.
 */
export function writeIpsetElements(
  writer: MessageWriter,
  op: 'add' | 'delete',
  seq: number,
  name: string,
  elements: readonly IpsetElement[],
  from = 0,
): number {
  const start = writer.length;
  begin(writer, op === 'add' ? CMD.ADD : CMD.DELETE, FLAG.ACK, seq);
  writer.text(ATTR.SETNAME, name);
  writer.u32(ATTR.LINENO | NET_ORDER, from);
  const list = writer.open(ATTR.ADT);
  let next = from;
  for (; next < elements.length && writer.length - start < MESSAGE_BYTES; next++) {
    writeIpsetElement(writer, elements[next] as IpsetElement, next);
  }
  writer.close(list);
  writer.end();
  return next;
}

/** The index of the element that was refused, from what the refusal quotes; undefined when it doesn't say. */
export function refusedElement(quoted: Uint8Array): number | undefined {
  const message = Buffer.from(quoted.buffer, quoted.byteOffset, quoted.length);
  if (message.length < HEADER_BYTES + 4) return undefined;
  try {
    const line = attributeMap(message.subarray(HEADER_BYTES + 4)).get(ATTR.LINENO);
    return line && readU32be(line);
  } catch {
    return undefined;
  }
}

/** What one message of a listing says; the header comes with the first. */
export interface IpsetListing {
  readonly header?: IpsetHeader;
  readonly elements: readonly IpsetElement[];
}

/** @throws PosternError `kernel` when it is malformed. */
export function readIpsetListing({ type, body }: NetlinkMessage): IpsetListing {
  if (type !== CMD.LIST) return { elements: [] };
  const found = attributeMap(body, readNfgenmsg(body).attributesAt);
  const adt = found.get(ATTR.ADT);
  const elements = adt === undefined ? [] : readIpsetElements(adt);
  return found.has(ATTR.TYPENAME) ? { header: readHeader(found), elements } : { elements };
}

function begin(writer: MessageWriter, type: number, flags: number, seq: number): void {
  writer.begin(type, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, NFPROTO.ip);
  writer.u8(ATTR.PROTOCOL, PROTOCOL_VERSION);
}

function readHeader(found: ReadonlyMap<number, Buffer>): IpsetHeader {
  const name = found.get(ATTR.SETNAME);
  const type = found.get(ATTR.TYPENAME);
  const family = found.get(ATTR.FAMILY);
  if (name === undefined || type === undefined || family?.length !== 1) throw malformed('ipset without a name', 0);
  const data = attributeMap(found.get(ATTR.DATA) ?? Buffer.alloc(0));
  const number = (attribute: number) => {
    const payload = data.get(attribute);
    return payload === undefined ? 0 : readU32be(payload);
  };
  const flags = number(DATA.FLAGS);
  const [first, last] = [data.get(DATA.IP), data.get(DATA.IP_TO)];
  return {
    name: readText(name),
    // Another type than Postern makes is not equal to any, which is all that is asked of it.
    type: readText(type) as IpsetType,
    family: family.readUInt8(0) === AF[6] ? 6 : 4,
    timeout: data.has(DATA.TIMEOUT),
    counters: (flags & WITH.COUNTERS) !== 0,
    comment: (flags & WITH.COMMENT) !== 0,
    skbinfo: (flags & WITH.SKBINFO) !== 0,
    maxElements: number(DATA.MAXELEM),
    ...(first === undefined || last === undefined
      ? {}
      : { range: { first: readAddress(first), last: readAddress(last) } }),
    elements: number(DATA.ELEMENTS),
    references: number(DATA.REFERENCES),
  };
}
