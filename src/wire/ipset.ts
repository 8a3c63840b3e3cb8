/**
 * The ipset protocol, version 7. Source: linux/netfilter/ipset/ip_set.h; integers are big-endian and say so by the
 * byte-order bit of their attribute.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | message | 1 PROTOCOL | u8 |
 * | message | 2 SETNAME, 3 TYPENAME (SWAP: the other name) | text |
 * | message | 4 REVISION, 5 FAMILY | u8 |
 * | message | 6 FLAGS | u32: 4 header only (LIST) |
 * | message | 7 DATA | nested: header or element |
 * | message | 8 ADT | nested: 7 DATA, each an element |
 * | message | 9 LINENO | u32; a refusal quotes the message with the number of the element here |
 * | element | 1 IP, 2 IP_TO | nested: 1 IPv4, 2 IPv6 |
 * | element | 3 CIDR | u8 |
 * | element | 4 PORT, 7 PROTO | u16, u8 |
 * | element | 6 TIMEOUT | u32 seconds, 0 permanent |
 * | element | 8 FLAGS | u32: 4 nomatch |
 * | element | 9 LINENO | u32 |
 * | element | 24 BYTES, 25 PACKETS | u64 |
 * | element | 26 COMMENT | text |
 * | element | 27 SKBMARK, 28 SKBPRIO, 29 SKBQUEUE | u64 mark and mask, u32, u16 |
 * | header | 1 IP, 2 IP_TO, 3 CIDR | range of a bitmap |
 * | header | 6 TIMEOUT | u32, default; there only when elements have timeouts |
 * | header | 8 FLAGS | u32: 8 counters, 16 comments, 64 skbinfo |
 * | header | 19 MAXELEM, 24 ELEMENTS, 25 REFERENCES | u32 |
 */

import { type Address, addressBytes, addressFromBytes, type Family } from '../net/address.js';
import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeMap,
  attributeType,
  FLAG,
  HEADER_BYTES,
  type MessageWriter,
  malformed,
  type NetlinkMessage,
  readText,
  readU32be,
  readU64be,
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
const NET_ORDER = 0x4000;
const ATTR = {
  PROTOCOL: 1,
  SETNAME: 2,
  TYPENAME: 3,
  REVISION: 4,
  FAMILY: 5,
  FLAGS: 6,
  DATA: 7,
  ADT: 8,
  LINENO: 9,
} as const;
const DATA = {
  IP: 1,
  IP_TO: 2,
  CIDR: 3,
  PORT: 4,
  TIMEOUT: 6,
  PROTO: 7,
  FLAGS: 8,
  LINENO: 9,
  MAXELEM: 19,
  ELEMENTS: 24,
  REFERENCES: 25,
} as const;
const ELEMENT = { BYTES: 24, PACKETS: 25, COMMENT: 26, MARK: 27, PRIORITY: 28, QUEUE: 29 } as const;
const IP = { V4: 1, V6: 2 } as const;
const LIST_HEADER_ONLY = 4;
const NOMATCH = 4;
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

export interface IpsetElement {
  readonly address: Address;
  /** hash:net; absent: a host. */
  readonly prefixLength?: number;
  readonly port?: number;
  /** IP protocol number of the port. */
  readonly protocol?: number;
  readonly timeoutSeconds?: number;
  readonly nomatch?: boolean;
  readonly packets?: bigint;
  readonly bytes?: bigint;
  readonly comment?: string;
  /** 32-bit mark and mask, traffic class major and minor as 32 bits, queue. */
  readonly skbinfo?: {
    readonly mark: number;
    readonly mask: number;
    readonly priority: number;
    readonly queue: number;
  };
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
  writeElement(writer, element);
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
    writeElement(writer, elements[next] as IpsetElement, next);
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
  const elements = adt === undefined ? [] : readElements(adt);
  return found.has(ATTR.TYPENAME) ? { header: readHeader(found), elements } : { elements };
}

function begin(writer: MessageWriter, type: number, flags: number, seq: number): void {
  writer.begin(type, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, NFPROTO.ip);
  writer.u8(ATTR.PROTOCOL, PROTOCOL_VERSION);
}

function writeAddress(writer: MessageWriter, type: number, address: Address): void {
  const nested = writer.open(type);
  writer.bytes((address.family === 4 ? IP.V4 : IP.V6) | NET_ORDER, addressBytes(address));
  writer.close(nested);
}

function writeElement(writer: MessageWriter, element: IpsetElement, line?: number): void {
  const data = writer.open(ATTR.DATA);
  writeAddress(writer, DATA.IP, element.address);
  if (element.prefixLength !== undefined) writer.u8(DATA.CIDR, element.prefixLength);
  if (element.port !== undefined) writer.u16(DATA.PORT | NET_ORDER, element.port);
  if (element.protocol !== undefined) writer.u8(DATA.PROTO, element.protocol);
  if (element.timeoutSeconds !== undefined) writer.u32(DATA.TIMEOUT | NET_ORDER, element.timeoutSeconds);
  if (element.nomatch) writer.u32(DATA.FLAGS | NET_ORDER, NOMATCH);
  if (element.bytes !== undefined) writer.u64big(ELEMENT.BYTES | NET_ORDER, element.bytes);
  if (element.packets !== undefined) writer.u64big(ELEMENT.PACKETS | NET_ORDER, element.packets);
  if (element.comment !== undefined) writer.text(ELEMENT.COMMENT, element.comment);
  if (element.skbinfo !== undefined) {
    const { mark, mask, priority, queue } = element.skbinfo;
    writer.u64big(ELEMENT.MARK | NET_ORDER, (BigInt(mark) << 32n) | BigInt(mask));
    writer.u32(ELEMENT.PRIORITY | NET_ORDER, priority);
    writer.u16(ELEMENT.QUEUE | NET_ORDER, queue);
  }
  if (line !== undefined) writer.u32(DATA.LINENO | NET_ORDER, line);
  writer.close(data);
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

function readElements(adt: Buffer): IpsetElement[] {
  const elements: IpsetElement[] = [];
  for (let at = 0, end = 0; at < adt.length; at = align(end)) {
    end = attributeEnd(adt, at, adt.length);
    if (attributeType(adt, at) === ATTR.DATA)
      elements.push(readElement(adt.subarray(at + ATTRIBUTE_HEADER_BYTES, end)));
  }
  return elements;
}

function readElement(bytes: Buffer): IpsetElement {
  const data = attributeMap(bytes);
  const address = data.get(DATA.IP);
  if (address === undefined) throw malformed('ipset element without an address', 0);
  const optional = <T>(attribute: number, length: number, read: (payload: Buffer) => T): T | undefined => {
    const payload = data.get(attribute);
    if (payload === undefined) return undefined;
    if (length > 0 && payload.length !== length) throw malformed(`ipset attribute of ${payload.length} bytes`, 0);
    return read(payload);
  };
  const flags = optional(DATA.FLAGS, 4, readU32be) ?? 0;
  const mark = optional(ELEMENT.MARK, 8, readU64be);
  const priority = optional(ELEMENT.PRIORITY, 4, readU32be);
  const queue = optional(ELEMENT.QUEUE, 2, (payload) => payload.readUInt16BE(0));
  return withoutUndefined<IpsetElement>({
    address: readAddress(address),
    prefixLength: optional(DATA.CIDR, 1, (payload) => payload.readUInt8(0)),
    port: optional(DATA.PORT, 2, (payload) => payload.readUInt16BE(0)),
    protocol: optional(DATA.PROTO, 1, (payload) => payload.readUInt8(0)),
    timeoutSeconds: optional(DATA.TIMEOUT, 4, readU32be),
    nomatch: (flags & NOMATCH) !== 0 || undefined,
    packets: optional(ELEMENT.PACKETS, 8, readU64be),
    bytes: optional(ELEMENT.BYTES, 8, readU64be),
    comment: optional(ELEMENT.COMMENT, 0, readText),
    skbinfo:
      mark === undefined && priority === undefined && queue === undefined
        ? undefined
        : {
            mark: Number((mark ?? 0n) >> 32n),
            mask: Number((mark ?? 0n) & 0xffff_ffffn),
            priority: priority ?? 0,
            queue: queue ?? 0,
          },
  });
}

function withoutUndefined<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}

function readAddress(nested: Buffer): Address {
  const found = attributeMap(nested);
  const bytes = found.get(IP.V4) ?? found.get(IP.V6);
  if (bytes?.length !== 4 && bytes?.length !== 16) throw malformed('ipset address', 0);
  return addressFromBytes(bytes);
}
