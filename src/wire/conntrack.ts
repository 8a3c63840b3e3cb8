/**
 * Connection tracking over ctnetlink: delete by address or by exact tuple, list.
 * Source: linux/netfilter/nfnetlink_conntrack.h; integers are big-endian, the flags of CTA_FILTER are in host order.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | entry | 1 TUPLE_ORIG, 2 TUPLE_REPLY | nested tuple |
 * | entry | 7 TIMEOUT | u32 seconds |
 * | entry | 12 ID | u32 |
 * | entry | 18 ZONE | u16 |
 * | entry | 25 FILTER | nested: 1 ORIG_FLAGS u32, 2 REPLY_FLAGS u32; 1 source address, 2 destination address |
 * | tuple | 1 IP | nested: 1 v4 source, 2 v4 destination, 3 v6 source, 4 v6 destination |
 * | tuple | 2 PROTO | nested: 1 NUM u8, 2 SRC_PORT u16, 3 DST_PORT u16, others for ICMP; copied as they are |
 */

import { type Address, addressBytes } from '../net/address.js';
import { attributeMap, FLAG, type MessageWriter, malformed } from './netlink.js';
import { messageType, NFPROTO, readNfgenmsg, SUBSYSTEM, writeNfgenmsg } from './nfnetlink.js';

const NEW = messageType(SUBSYSTEM.CONNTRACK, 0);
const GET = messageType(SUBSYSTEM.CONNTRACK, 1);
const DELETE = messageType(SUBSYSTEM.CONNTRACK, 2);
const ENTRY = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, TIMEOUT: 7, ID: 12, ZONE: 18, FILTER: 25 } as const;
const FILTER = { ORIG_FLAGS: 1, REPLY_FLAGS: 2, SOURCE: 1 } as const;
const TUPLE = { IP: 1, PROTO: 2 } as const;
const IP = { V4_SOURCE: 1, V4_DESTINATION: 2, V6_SOURCE: 3, V6_DESTINATION: 4 } as const;
const PROTO = { NUMBER: 1, SOURCE_PORT: 2, DESTINATION_PORT: 3 } as const;
const UDP = 17;
/** With version 0 the kernel ignores the family of a filtered delete. */
const VERSION_HONOURS_FAMILY = 1;

/** Which of an entry's tuples an address is the source of: who opened the connection, or who answers it. */
export type TupleDirection = 'original' | 'reply';

/** Deletes every entry whose tuple in this direction has this source address. */
export function writeDeleteBySource(
  writer: MessageWriter,
  seq: number,
  address: Address,
  direction: TupleDirection,
): void {
  writer.begin(DELETE, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, family(address), 0, VERSION_HONOURS_FAMILY);
  const original = direction === 'original';
  const filter = writer.open(ENTRY.FILTER);
  writer.u32host(FILTER.ORIG_FLAGS, original ? FILTER.SOURCE : 0);
  writer.u32host(FILTER.REPLY_FLAGS, original ? 0 : FILTER.SOURCE);
  writer.close(filter);
  const tuple = writer.open(original ? ENTRY.TUPLE_ORIG : ENTRY.TUPLE_REPLY);
  const ip = writer.open(TUPLE.IP);
  writer.bytes(address.family === 4 ? IP.V4_SOURCE : IP.V6_SOURCE, addressBytes(address));
  writer.close(ip);
  writer.close(tuple);
  writer.end();
}

/** Lists all entries of a family. */
export function writeStatesRequest(writer: MessageWriter, seq: number, addressFamily: 4 | 6): void {
  writer.begin(GET, FLAG.REQUEST | FLAG.DUMP, seq);
  writeNfgenmsg(writer, addressFamily === 4 ? NFPROTO.ip : NFPROTO.ip6);
  writer.end();
}

/** One entry of a listing, with what a delete needs to name it. */
export interface StateEntry {
  readonly family: number;
  /** Source addresses of the two tuples, 4 or 16 bytes. */
  readonly originalSource: Buffer;
  readonly replySource: Buffer;
  /** The original tuple, zone and id as they came. */
  readonly originalTuple: Buffer;
  readonly id?: Buffer;
  readonly zone?: Buffer;
}

/** A connection over UDP to track, as packets would have made it. */
export interface NewState {
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly timeoutSeconds: number;
}

/** Adds an entry. */
export function writeNewState(writer: MessageWriter, seq: number, state: NewState): void {
  writer.begin(NEW, FLAG.REQUEST | FLAG.ACK | FLAG.CREATE | FLAG.EXCLUSIVE, seq);
  writeNfgenmsg(writer, family(state.source));
  const { source, destination, sourcePort, destinationPort } = state;
  writeTuple(writer, ENTRY.TUPLE_ORIG, [source, destination], [sourcePort, destinationPort]);
  writeTuple(writer, ENTRY.TUPLE_REPLY, [destination, source], [destinationPort, sourcePort]);
  writer.u32(ENTRY.TIMEOUT, state.timeoutSeconds);
  writer.end();
}

function writeTuple(
  writer: MessageWriter,
  type: number,
  [source, destination]: readonly [Address, Address],
  [sourcePort, destinationPort]: readonly [number, number],
): void {
  const v4 = source.family === 4;
  const tuple = writer.open(type);
  const ip = writer.open(TUPLE.IP);
  writer.bytes(v4 ? IP.V4_SOURCE : IP.V6_SOURCE, addressBytes(source));
  writer.bytes(v4 ? IP.V4_DESTINATION : IP.V6_DESTINATION, addressBytes(destination));
  writer.close(ip);
  const protocol = writer.open(TUPLE.PROTO);
  writer.u8(PROTO.NUMBER, UDP);
  writer.u16(PROTO.SOURCE_PORT, sourcePort);
  writer.u16(PROTO.DESTINATION_PORT, destinationPort);
  writer.close(protocol);
  writer.close(tuple);
}

/** Deletes exactly this entry. */
export function writeDeleteState(writer: MessageWriter, seq: number, entry: StateEntry, flags = 0): void {
  writer.begin(DELETE, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, entry.family);
  const tuple = writer.open(ENTRY.TUPLE_ORIG);
  writer.header(entry.originalTuple);
  writer.close(tuple);
  if (entry.zone !== undefined) writer.bytes(ENTRY.ZONE, entry.zone);
  // The id guards against deleting a newer connection with the same ports.
  if (entry.id !== undefined) writer.bytes(ENTRY.ID, entry.id);
  writer.end();
}

/**
 * Reads one message of a listing; undefined for a message that isn't an entry.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readState(type: number, body: Buffer): StateEntry | undefined {
  if (type !== NEW) return undefined;
  const { family: entryFamily, attributesAt } = readNfgenmsg(body);
  const entry = attributeMap(body, attributesAt);
  const original = entry.get(ENTRY.TUPLE_ORIG);
  const reply = entry.get(ENTRY.TUPLE_REPLY);
  if (original === undefined || reply === undefined) throw malformed('conntrack entry without tuples', 0);
  const id = entry.get(ENTRY.ID);
  const zone = entry.get(ENTRY.ZONE);
  return {
    family: entryFamily,
    originalSource: sourceOf(original),
    replySource: sourceOf(reply),
    originalTuple: original,
    ...(id === undefined ? {} : { id }),
    ...(zone === undefined ? {} : { zone }),
  };
}

function sourceOf(tuple: Buffer): Buffer {
  const ip = attributeMap(tuple).get(TUPLE.IP);
  const source = ip && (attributeMap(ip).get(IP.V4_SOURCE) ?? attributeMap(ip).get(IP.V6_SOURCE));
  if (source === undefined) throw malformed('conntrack tuple without a source', 0);
  return source;
}

function family(address: Address): number {
  return address.family === 4 ? NFPROTO.ip : NFPROTO.ip6;
}
