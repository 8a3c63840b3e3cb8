/**
 * Connections as conntrack knows them, with all that is needed to make the same entry elsewhere.
 * Source: linux/netfilter/nfnetlink_conntrack.h; numbers are big-endian.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | entry | 1 TUPLE_ORIG, 2 TUPLE_REPLY | nested tuple |
 * | entry | 3 STATUS | u32: 2 seen reply, 4 assured, 8 confirmed, … |
 * | entry | 4 PROTOINFO | nested: 1 TCP {1 STATE u8, 4 FLAGS_ORIGINAL, 5 FLAGS_REPLY: {flags u8, mask u8}} |
 * | entry | 6 NAT_SRC, 13 NAT_DST | nested: 1 v4 first, 2 v4 last, 3 PROTO {1 first port, 2 last port}, 4 v6 first, 5 v6 last |
 * | entry | 7 TIMEOUT, 8 MARK, 12 ID | u32 |
 * | entry | 18 ZONE | u16 |
 * | tuple | 1 IP | nested: 1 v4 source, 2 v4 destination, 3 v6 source, 4 v6 destination |
 * | tuple | 2 PROTO | nested: 1 NUM u8, 2 SRC_PORT u16, 3 DST_PORT u16; of ICMP 4 ID u16, 5 TYPE u8, 6 CODE u8; of ICMPv6 7, 8, 9 |
 */

import { type Address, addressBytes, addressFromBytes, compareAddresses } from '../net/address.js';
import { attributeMap, FLAG, type MessageWriter, malformed, readU16be, readU32be } from './netlink.js';
import { messageType, NFPROTO, readNfgenmsg, SUBSYSTEM, writeNfgenmsg } from './nfnetlink.js';
import { PROTOCOL } from './packet.js';

const NEW = messageType(SUBSYSTEM.CONNTRACK, 0);
const GET = messageType(SUBSYSTEM.CONNTRACK, 1);
const DELETE = messageType(SUBSYSTEM.CONNTRACK, 2);
const ENTRY = {
  TUPLE_ORIG: 1,
  TUPLE_REPLY: 2,
  STATUS: 3,
  PROTOINFO: 4,
  NAT_SRC: 6,
  TIMEOUT: 7,
  MARK: 8,
  ID: 12,
  NAT_DST: 13,
  ZONE: 18,
  MARK_MASK: 21,
} as const;
const TUPLE = { IP: 1, PROTO: 2 } as const;
const IP = { V4_SOURCE: 1, V4_DESTINATION: 2, V6_SOURCE: 3, V6_DESTINATION: 4 } as const;
const PROTO = { NUMBER: 1, SOURCE_PORT: 2, DESTINATION_PORT: 3 } as const;
const PROTO_ICMP = { ID: 4, TYPE: 5, CODE: 6 } as const;
const PROTO_ICMPV6 = { ID: 7, TYPE: 8, CODE: 9 } as const;
const NAT = { V4_FIRST: 1, V4_LAST: 2, PROTO: 3, V6_FIRST: 4, V6_LAST: 5 } as const;
const NAT_PORT = { FIRST: 1, LAST: 2 } as const;
const TCP = { INFO: 1, STATE: 1, FLAGS_ORIGINAL: 4, FLAGS_REPLY: 5, ESTABLISHED: 3 } as const;
/** Window scaling seen, and any sequence number is in the window: ours are made up. */
const LIBERAL = Uint8Array.of(0x0a, 0x0a);
const STATUS_ESTABLISHED = 0x0e;
const STATUS_ASSURED = 4;
const DEFAULT_TIMEOUT_S = 600;

export interface FlowTuple {
  readonly source: Address;
  readonly destination: Address;
  /** 0 where the protocol has none. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Of ICMP, which has no ports; for a lookup. */
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
}

/** A connection that was answered. `reply` is the original turned round, unless addresses are translated. */
export interface Flow {
  readonly protocol: number;
  readonly original: FlowTuple;
  readonly reply: FlowTuple;
  readonly mark?: number;
  readonly zone?: number;
  readonly timeoutS?: number;
  /** In a listing: packets went both ways, and the kernel won't drop the entry early. */
  readonly assured?: boolean;
}

export const turned = (tuple: FlowTuple): FlowTuple => ({
  source: tuple.destination,
  destination: tuple.source,
  sourcePort: tuple.destinationPort,
  destinationPort: tuple.sourcePort,
});

/** Can an entry be made of it? Only what has ports: an ICMP exchange is over in a moment. */
export const isReplayable = ({ protocol }: Flow): boolean => protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP;

/** Adds an established entry; refused with EEXIST when there is one. */
export function writeFlow(writer: MessageWriter, seq: number, flow: Flow): void {
  writer.begin(NEW, FLAG.REQUEST | FLAG.ACK | FLAG.CREATE | FLAG.EXCLUSIVE, seq);
  writeNfgenmsg(writer, flow.original.source.family === 4 ? NFPROTO.ip : NFPROTO.ip6);
  const plain = turned(flow.original);
  writeTuple(writer, ENTRY.TUPLE_ORIG, flow.protocol, flow.original);
  writeTuple(writer, ENTRY.TUPLE_REPLY, flow.protocol, plain);
  writer.u32(ENTRY.STATUS, STATUS_ESTABLISHED);
  if (flow.protocol === PROTOCOL.TCP) writeTcpEstablished(writer);
  const { reply } = flow;
  if (differs(reply.destination, reply.destinationPort, plain.destination, plain.destinationPort)) {
    writeNat(writer, ENTRY.NAT_SRC, reply.destination, reply.destinationPort);
  }
  if (differs(reply.source, reply.sourcePort, plain.source, plain.sourcePort)) {
    writeNat(writer, ENTRY.NAT_DST, reply.source, reply.sourcePort);
  }
  writer.u32(ENTRY.TIMEOUT, flow.timeoutS ?? DEFAULT_TIMEOUT_S);
  if (flow.mark !== undefined && flow.mark !== 0) writer.u32(ENTRY.MARK, flow.mark);
  if (flow.zone !== undefined && flow.zone !== 0) writer.u16(ENTRY.ZONE, flow.zone);
  writer.end();
}

const differs = (address: Address, port: number, other: Address, otherPort: number): boolean =>
  compareAddresses(address, other) !== 0 || port !== otherPort;

function writeTcpEstablished(writer: MessageWriter): void {
  const info = writer.open(ENTRY.PROTOINFO);
  const tcp = writer.open(TCP.INFO);
  writer.u8(TCP.STATE, TCP.ESTABLISHED);
  writer.bytes(TCP.FLAGS_ORIGINAL, LIBERAL);
  writer.bytes(TCP.FLAGS_REPLY, LIBERAL);
  writer.close(tcp);
  writer.close(info);
}

function writeNat(writer: MessageWriter, type: number, address: Address, port: number): void {
  const bytes = addressBytes(address);
  const nat = writer.open(type);
  writer.bytes(address.family === 4 ? NAT.V4_FIRST : NAT.V6_FIRST, bytes);
  writer.bytes(address.family === 4 ? NAT.V4_LAST : NAT.V6_LAST, bytes);
  const ports = writer.open(NAT.PROTO);
  writer.u16(NAT_PORT.FIRST, port);
  writer.u16(NAT_PORT.LAST, port);
  writer.close(ports);
  writer.close(nat);
}

function writeTuple(writer: MessageWriter, type: number, protocol: number, tuple: FlowTuple): void {
  const v4 = tuple.source.family === 4;
  const at = writer.open(type);
  const ip = writer.open(TUPLE.IP);
  writer.bytes(v4 ? IP.V4_SOURCE : IP.V6_SOURCE, addressBytes(tuple.source));
  writer.bytes(v4 ? IP.V4_DESTINATION : IP.V6_DESTINATION, addressBytes(tuple.destination));
  writer.close(ip);
  const proto = writer.open(TUPLE.PROTO);
  writer.u8(PROTO.NUMBER, protocol);
  if (tuple.icmp === undefined) {
    writer.u16(PROTO.SOURCE_PORT, tuple.sourcePort);
    writer.u16(PROTO.DESTINATION_PORT, tuple.destinationPort);
  } else {
    const part = protocol === PROTOCOL.ICMP ? PROTO_ICMP : PROTO_ICMPV6;
    writer.u16(part.ID, tuple.icmp.id);
    writer.u8(part.TYPE, tuple.icmp.type);
    writer.u8(part.CODE, tuple.icmp.code);
  }
  writer.close(proto);
  writer.close(at);
}

/** Lists all entries of both families. */
export function writeFlowsRequest(writer: MessageWriter, seq: number): void {
  writer.begin(GET, FLAG.REQUEST | FLAG.DUMP, seq);
  writeNfgenmsg(writer, NFPROTO.unspec);
  writer.end();
}

/** Deletes all entries. */
export function writeFlowsFlush(writer: MessageWriter, seq: number): void {
  writer.begin(DELETE, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, NFPROTO.unspec);
  writer.end();
}

/** The body of one entry of a listing. @throws PosternError `kernel` when it is malformed. */
export function readFlow(body: Buffer): Flow {
  const entry = attributeMap(body, readNfgenmsg(body).attributesAt);
  const original = entry.get(ENTRY.TUPLE_ORIG);
  const reply = entry.get(ENTRY.TUPLE_REPLY);
  if (original === undefined || reply === undefined) throw malformed('conntrack entry without tuples', 0);
  const status = entry.get(ENTRY.STATUS);
  const [mark, zone, timeout] = [entry.get(ENTRY.MARK), entry.get(ENTRY.ZONE), entry.get(ENTRY.TIMEOUT)];
  return {
    protocol: protocolOf(original),
    original: readTuple(original),
    reply: readTuple(reply),
    ...(mark !== undefined && { mark: readU32be(mark) }),
    ...(zone !== undefined && { zone: readU16be(zone) }),
    ...(timeout !== undefined && { timeoutS: readU32be(timeout) }),
    ...(status !== undefined && (readU32be(status) & STATUS_ASSURED) !== 0 && { assured: true }),
  };
}

/** What an entry is in at the moment. */
export interface FlowState {
  /** What conntrack calls it; not 0. */
  readonly id: number;
  readonly mark: number;
  /** Bits of `FLOW_STATUS`. */
  readonly status: number;
  /** Until it ends without further packets; absent for an entry that doesn't. */
  readonly lifetimeS?: number;
}

/** Bits of an entry's status (linux/netfilter/nf_conntrack_common.h). */
export const FLOW_STATUS = {
  EXPECTED: 1,
  SEEN_REPLY: 2,
  ASSURED: 4,
  CONFIRMED: 8,
  SNAT: 0x10,
  DNAT: 0x20,
} as const;

/** The state in the body of one entry. @throws PosternError `kernel` when it is malformed. */
export function readFlowState(body: Buffer): FlowState {
  const entry = attributeMap(body, readNfgenmsg(body).attributesAt);
  const number = (type: number): number | undefined => {
    const value = entry.get(type);
    return value && readU32be(value);
  };
  const lifetimeS = number(ENTRY.TIMEOUT);
  const id = entry.get(ENTRY.ID);
  return {
    // A number of the kernel that nobody has put into network order.
    id: id?.length === 4 ? id.readUInt32LE(0) : 0,
    mark: number(ENTRY.MARK) ?? 0,
    status: number(ENTRY.STATUS) ?? 0,
    ...(lifetimeS !== undefined && { lifetimeS }),
  };
}

function protocolOf(tuple: Buffer): number {
  const proto = attributeMap(tuple).get(TUPLE.PROTO);
  return (proto && attributeMap(proto).get(PROTO.NUMBER)?.[0]) ?? 0;
}

function readTuple(tuple: Buffer): FlowTuple {
  const parts = attributeMap(tuple);
  const ip = attributeMap(parts.get(TUPLE.IP) ?? Buffer.alloc(0));
  const proto = attributeMap(parts.get(TUPLE.PROTO) ?? Buffer.alloc(0));
  return {
    source: readAddress(ip.get(IP.V4_SOURCE) ?? ip.get(IP.V6_SOURCE)),
    destination: readAddress(ip.get(IP.V4_DESTINATION) ?? ip.get(IP.V6_DESTINATION)),
    sourcePort: readPort(proto.get(PROTO.SOURCE_PORT)),
    destinationPort: readPort(proto.get(PROTO.DESTINATION_PORT)),
  };
}

function readAddress(bytes: Buffer | undefined): Address {
  if (bytes?.length !== 4 && bytes?.length !== 16) throw malformed('address of a conntrack tuple', 0);
  return addressFromBytes(bytes);
}

/** Protocols without ports have none in their tuples. */
const readPort = (bytes: Buffer | undefined): number => (bytes === undefined ? 0 : readU16be(bytes));

/** Sets bits of the mark of the connection that a packet with this tuple belongs to; refused with ENOENT without one. */
export function writeFlowMark(writer: MessageWriter, seq: number, { protocol, tuple, mark, mask }: FlowMark): void {
  writer.begin(NEW, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, tuple.source.family === 4 ? NFPROTO.ip : NFPROTO.ip6);
  writeTuple(writer, ENTRY.TUPLE_ORIG, protocol, tuple);
  writer.u32(ENTRY.MARK, mark);
  writer.u32(ENTRY.MARK_MASK, mask);
  writer.end();
}

/** Bits for the mark of a connection. */
export interface FlowMark {
  readonly protocol: number;
  /** Of any of its packets. */
  readonly tuple: FlowTuple;
  readonly mark: number;
  /** Bits that are changed. */
  readonly mask: number;
}

/** Asks for the entry that a packet with this tuple belongs to, in either direction; refused with ENOENT without one. */
export function writeFlowLookup(writer: MessageWriter, seq: number, protocol: number, tuple: FlowTuple): void {
  writer.begin(GET, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, tuple.source.family === 4 ? NFPROTO.ip : NFPROTO.ip6);
  writeTuple(writer, ENTRY.TUPLE_ORIG, protocol, tuple);
  writer.end();
}
