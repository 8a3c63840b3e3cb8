/**
 * Messages that set up a host's network: links up, addresses, routes, rules; and a listing's bodies made fit to be sent
 * again. Sources: rtnetlink(7), linux/if_addr.h, linux/rtnetlink.h. Numbers are in host order, addresses in network order.
 *
 * | Header | Offset: field |
 * |---|---|
 * | ifinfomsg | 0: family, 2: ARP type u16, 4: index i32, 8: flags u32, 12: change u32 |
 * | ifaddrmsg | 0: family, 1: prefix length, 2: flags, 3: scope, 4: index u32 |
 * | rtmsg | 0: family, 1: destination length, 2: source length, 3: tos, 4: table, 5: protocol, 6: scope, 7: type, 8: flags u32 |
 * | fib_rule_hdr | 0: family, 1: destination length, 2: source length, 3: tos, 4: table, 7: action, 8: flags u32 |
 */

import { type Address, addressBytes, type Family, type Prefix } from '../net/address.js';
import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeMap,
  attributeType,
  FLAG,
  type MessageWriter,
} from './netlink.js';

export const RTM = {
  NEWLINK: 16,
  GETLINK: 18,
  NEWADDR: 20,
  GETADDR: 22,
  NEWROUTE: 24,
  GETROUTE: 26,
  NEWRULE: 32,
  GETRULE: 34,
} as const;
export const IFF = { UP: 1, LOOPBACK: 8, NOARP: 0x80 } as const;

const FAMILY: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
const LINK = { ADDRESS: 1, NAME: 3, INFO: 18 } as const;
const LINK_INFO = { KIND: 1, DATA: 2 } as const;
const VETH_PEER = 1;
const ADDRESS = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const IFA_F_NODAD = 2;
const ROUTE = { DESTINATION: 1, OIF: 4, GATEWAY: 5 } as const;
const MAIN_TABLE = 254;
const PROTOCOL_STATIC = 4;
const SCOPE = { UNIVERSE: 0, LINK: 253 } as const;
const TYPE_UNICAST = 1;

/** Bytes of the fixed header in front of the attributes. */
export const SETUP_HEADER_BYTES = { link: 16, address: 8, route: 12, rule: 12 } as const;
/** Caches of the kernel, which it doesn't take back. */
export const CACHE_ATTRIBUTE = { address: 6, route: 12 } as const;

/** Sets flags of a device, and its hardware address when given. */
export function writeLinkChange(
  writer: MessageWriter,
  seq: number,
  link: { readonly index: number; readonly flags: number; readonly mac?: Uint8Array },
): void {
  const header = Buffer.alloc(SETUP_HEADER_BYTES.link);
  header.writeInt32LE(link.index, 4);
  header.writeUInt32LE(link.flags, 8);
  header.writeUInt32LE(link.flags, 12);
  writer.begin(RTM.NEWLINK, FLAG.REQUEST | FLAG.ACK, seq);
  writer.header(header);
  if (link.mac !== undefined) writer.bytes(LINK.ADDRESS, link.mac);
  writer.end();
}

/**
 * Makes a pair of virtual Ethernet devices: what one sends the other takes in.
 * @param device with the index that it gets
 */
export function writeVethPair(
  writer: MessageWriter,
  seq: number,
  device: { readonly name: string; readonly index: number },
  peer: { readonly name: string; readonly index: number },
): void {
  const header = (index: number): Buffer => {
    const bytes = Buffer.alloc(SETUP_HEADER_BYTES.link);
    bytes.writeInt32LE(index, 4);
    return bytes;
  };
  writer.begin(RTM.NEWLINK, FLAG.REQUEST | FLAG.ACK | FLAG.CREATE | FLAG.EXCLUSIVE, seq);
  writer.header(header(device.index));
  writer.text(LINK.NAME, device.name);
  const what = writer.open(LINK.INFO);
  writer.text(LINK_INFO.KIND, 'veth');
  const own = writer.open(LINK_INFO.DATA);
  const other = writer.open(VETH_PEER);
  writer.header(header(peer.index));
  writer.text(LINK.NAME, peer.name);
  writer.close(other);
  writer.close(own);
  writer.close(what);
  writer.end();
}

/** Sends a body as it is: NEWADDR, NEWROUTE or NEWRULE. */
export function writeSetup(writer: MessageWriter, type: number, seq: number, body: Uint8Array): void {
  writer.begin(type, FLAG.REQUEST | FLAG.ACK | FLAG.CREATE | (type === RTM.NEWADDR ? 0 : FLAG.APPEND), seq);
  writer.header(body);
  writer.end();
}

/** Lists links, addresses, routes or rules of all families. */
export function writeSetupRequest(writer: MessageWriter, type: number, seq: number): void {
  writer.begin(type, FLAG.REQUEST | FLAG.DUMP, seq);
  writer.header(new Uint8Array(SETUP_HEADER_BYTES.link));
  writer.end();
}

/** Body of NEWADDR: an address with its network, usable at once (no duplicate detection). */
export function addressBody(index: number, address: Address, length: number): Uint8Array {
  const header = Buffer.alloc(SETUP_HEADER_BYTES.address);
  header[0] = FAMILY[address.family];
  header[1] = length;
  header.writeUInt32LE(index, 4);
  const bytes = addressBytes(address);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(IFA_F_NODAD);
  return Buffer.concat([
    header,
    attribute(ADDRESS.ADDRESS, bytes),
    attribute(ADDRESS.LOCAL, bytes),
    ...(address.family === 6 ? [attribute(ADDRESS.FLAGS, flags)] : []),
  ]);
}

/** Body of NEWROUTE in the main table. */
export function routeBody(to: Prefix, by: { readonly device?: number; readonly via?: Address }): Uint8Array {
  const header = Buffer.alloc(SETUP_HEADER_BYTES.route);
  header[0] = FAMILY[to.family];
  header[1] = to.length;
  header[4] = MAIN_TABLE;
  header[5] = PROTOCOL_STATIC;
  header[6] = by.via === undefined && to.family === 4 ? SCOPE.LINK : SCOPE.UNIVERSE;
  header[7] = TYPE_UNICAST;
  const device = Buffer.alloc(4);
  if (by.device !== undefined) device.writeUInt32LE(by.device);
  return Buffer.concat([
    header,
    ...(to.length > 0 ? [attribute(ROUTE.DESTINATION, addressBytes(to))] : []),
    ...(by.via === undefined ? [] : [attribute(ROUTE.GATEWAY, addressBytes(by.via))]),
    ...(by.device === undefined ? [] : [attribute(ROUTE.OIF, device)]),
  ]);
}

function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(ATTRIBUTE_HEADER_BYTES + payload.length));
  bytes.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

/** A listed body without attributes of one type. @throws PosternError `kernel` when it is malformed. */
export function withoutAttribute(body: Buffer, headerBytes: number, type: number): Uint8Array {
  const kept: Buffer[] = [body.subarray(0, headerBytes)];
  for (let at = headerBytes, end = 0; at < body.length; at = align(end)) {
    end = attributeEnd(body, at, body.length);
    if (attributeType(body, at) !== type) kept.push(body.subarray(at, Math.min(align(end), body.length)));
  }
  return Uint8Array.from(Buffer.concat(kept));
}

/** Asks where packets to an address go. */
export function writeRouteLookup(writer: MessageWriter, seq: number, to: Address): void {
  const header = Buffer.alloc(SETUP_HEADER_BYTES.route);
  header[0] = FAMILY[to.family];
  header[1] = to.family === 4 ? 32 : 128;
  writer.begin(RTM.GETROUTE, FLAG.REQUEST, seq);
  writer.header(header);
  writer.bytes(ROUTE.DESTINATION, addressBytes(to));
  writer.end();
}

const TYPE_LOCAL = 2;

/** The answer: `local`, or the index of the device; undefined without one. @throws PosternError `kernel` */
export function readRouteLookup(body: Buffer): 'local' | number | undefined {
  if (body[7] === TYPE_LOCAL) return 'local';
  const device = attributeMap(body, SETUP_HEADER_BYTES.route).get(ROUTE.OIF);
  return device?.length === 4 ? device.readUInt32LE(0) : undefined;
}
