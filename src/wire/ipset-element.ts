/** Elements of ipsets; the offsets stand in ipset-attributes.ts. */

import type { Address } from '../net/address.js';
import { ATTR, DATA, NET_ORDER, readAddress, writeAddress } from './ipset-attributes.js';
import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeMap,
  attributeType,
  type MessageWriter,
  malformed,
  readText,
  readU32be,
  readU64be,
} from './netlink.js';

const ELEMENT = { BYTES: 24, PACKETS: 25, COMMENT: 26, MARK: 27, PRIORITY: 28, QUEUE: 29 } as const;
const NOMATCH = 4;

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

/** `line`: what a refusal calls the element. */
export function writeIpsetElement(writer: MessageWriter, element: IpsetElement, line?: number): void {
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

/** @throws PosternError `kernel` when one is malformed. */
export function readIpsetElements(adt: Buffer): IpsetElement[] {
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
