/**
 * Links and addresses of the host over rtnetlink. Source: rtnetlink(7), linux/if_link.h, linux/if_addr.h; integers are in
 * host order.
 *
 * | ifinfomsg offset | Size | Field |
 * |---|---|---|
 * | 0 | 1 | family |
 * | 2 | 2 | hardware type |
 * | 4 | 4 | index |
 * | 8 | 4 | flags: 1 up, 8 loopback, 0x40 running; all are in DEVICE_FLAGS |
 * | 12 | 4 | changed flags |
 *
 * Then attributes: 1 ADDRESS (MAC), 3 IFNAME text, 4 MTU u32.
 *
 * | ifaddrmsg offset | Size | Field |
 * |---|---|---|
 * | 0 | 1 | family |
 * | 1 | 1 | prefix length |
 * | 2 | 1 | flags: 8 duplicate found, 0x40 tentative |
 * | 3 | 1 | scope: 0 universe, 253 link, 254 host |
 * | 4 | 4 | index of the link |
 *
 * Then attributes: 1 ADDRESS (of the peer on a point-to-point link), 2 LOCAL, 8 FLAGS u32.
 */

import { type Address, addressFromBytes } from '../net/address.js';
import { attributeMap, FLAG, type MessageWriter, malformed, type NetlinkMessage, readText } from './netlink.js';

const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, NEWADDR: 20, DELADDR: 21, GETADDR: 22 } as const;
const IFLA = { ADDRESS: 1, NAME: 3, MTU: 4 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;

/** Flags of a device (ifi_flags, linux/if.h), as ip(8) and xtables-addons call them. */
export const DEVICE_FLAGS = {
  up: 0x1,
  broadcast: 0x2,
  loopback: 0x8,
  pointopoint: 0x10,
  running: 0x40,
  noarp: 0x80,
  promisc: 0x100,
  multicast: 0x1000,
  dynamic: 0x8000,
  lower_up: 0x10000,
  dormant: 0x20000,
} as const;

const UNUSABLE = 0x08 | 0x40;
const AF_BRIDGE = 7;

/** Multicast groups of links and of IPv4 and IPv6 addresses. */
export const LINK_GROUPS = [1, 5, 9] as const;

export interface LinkMessage {
  readonly kind: 'link';
  readonly op: 'new' | 'delete';
  readonly index: number;
  readonly name: string;
  /** Bits of DEVICE_FLAGS and others. */
  readonly flags: number;
  readonly up: boolean;
  /** Up, and something is at the other end. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** Ethernet address; absent on links that have none. */
  readonly mac?: Uint8Array;
  readonly mtu: number;
}

export interface AddressMessage {
  readonly kind: 'address';
  readonly op: 'new' | 'delete';
  /** Of the link. */
  readonly index: number;
  readonly address: Address;
  /** Of the network that is reached directly: around `address`, or around `peer`. */
  readonly prefixLength: number;
  /** The other end of a point-to-point link. */
  readonly peer?: Address;
  /** rtnetlink(7): 0 universe, 253 link, 254 host. */
  readonly scope: number;
  /** False while duplicate address detection runs, and when it found one. */
  readonly usable: boolean;
}

/** Asks for all links, or for all addresses of both families. */
export function writeLinkRequest(writer: MessageWriter, seq: number, what: 'links' | 'addresses'): void {
  writer.begin(what === 'links' ? RTM.GETLINK : RTM.GETADDR, FLAG.REQUEST | FLAG.DUMP, seq);
  writer.header(Buffer.alloc(what === 'links' ? LINK_HEADER_BYTES : ADDRESS_HEADER_BYTES));
  writer.end();
}

/**
 * Reads one message of a listing or an event; undefined for another type.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readLinkMessage({ type, body }: NetlinkMessage): LinkMessage | AddressMessage | undefined {
  if (type === RTM.NEWLINK || type === RTM.DELLINK) return readLink(type === RTM.NEWLINK ? 'new' : 'delete', body);
  if (type === RTM.NEWADDR || type === RTM.DELADDR) return readAddress(type === RTM.NEWADDR ? 'new' : 'delete', body);
  return undefined;
}

function readLink(op: 'new' | 'delete', body: Buffer): LinkMessage | undefined {
  if (body.length < LINK_HEADER_BYTES) throw malformed('cut link header', 0);
  // A bridge tells of its ports with messages of its own family, which are no links going away.
  if (body.readUInt8(0) === AF_BRIDGE) return undefined;
  const found = attributeMap(body, LINK_HEADER_BYTES);
  const name = found.get(IFLA.NAME);
  if (name === undefined) throw malformed('link without a name', 0);
  const flags = body.readUInt32LE(8);
  const mac = found.get(IFLA.ADDRESS);
  const mtu = found.get(IFLA.MTU);
  return {
    kind: 'link',
    op,
    index: body.readInt32LE(4),
    name: readText(name),
    flags,
    up: (flags & DEVICE_FLAGS.up) !== 0,
    running: (flags & DEVICE_FLAGS.running) !== 0,
    loopback: (flags & DEVICE_FLAGS.loopback) !== 0,
    ...(mac?.length === 6 ? { mac: Uint8Array.from(mac) } : {}),
    mtu: mtu === undefined ? 0 : hostU32(mtu),
  };
}

function readAddress(op: 'new' | 'delete', body: Buffer): AddressMessage {
  if (body.length < ADDRESS_HEADER_BYTES) throw malformed('cut address header', 0);
  const found = attributeMap(body, ADDRESS_HEADER_BYTES);
  const local = found.get(IFA.LOCAL);
  const address = found.get(IFA.ADDRESS) ?? local;
  if (address === undefined) throw malformed('address message without an address', 0);
  const flags = found.get(IFA.FLAGS);
  const peer = local !== undefined && !local.equals(address) ? { peer: ipAddress(address) } : {};
  return {
    kind: 'address',
    op,
    index: body.readUInt32LE(4),
    address: ipAddress(local ?? address),
    prefixLength: body.readUInt8(1),
    ...peer,
    scope: body.readUInt8(3),
    usable: ((flags === undefined ? body.readUInt8(2) : hostU32(flags)) & UNUSABLE) === 0,
  };
}

function hostU32(payload: Buffer): number {
  if (payload.length !== 4) throw malformed(`32-bit number of ${payload.length} bytes`, 0);
  return payload.readUInt32LE(0);
}

function ipAddress(bytes: Buffer): Address {
  if (bytes.length !== 4 && bytes.length !== 16) throw malformed(`address of ${bytes.length} bytes`, 0);
  return addressFromBytes(bytes);
}
