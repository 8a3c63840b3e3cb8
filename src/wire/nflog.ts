/**
 * NFLOG: copies of packets that a rule logs to a group. Sources: linux/netfilter/nfnetlink_log.h; integers are
 * big-endian.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | config | 1 CMD | u8: 1 bind, 2 unbind |
 * | config | 2 MODE | u32 bytes to copy, u8 mode (2 packet), u8 pad |
 * | config | 3 NLBUFSIZ | u32 bytes of one datagram, at most 131,072 |
 * | config | 4 TIMEOUT | u32, 1/100 s that a packet may wait for others |
 * | config | 5 QTHRESH | u32 packets that share a datagram |
 * | config | 6 FLAGS | u16: 1 sequence numbers |
 * | packet | 1 PACKET_HDR | u16 ethertype, u8 hook |
 * | packet | 2 MARK | u32 |
 * | packet | 4 IFINDEX_INDEV, 5 IFINDEX_OUTDEV | u32 |
 * | packet | 9 PAYLOAD | the packet from its IP header on, cut to the bytes to copy |
 * | packet | 10 PREFIX | text |
 * | packet | 12 SEQ | u32, counts every packet of the group, also those that were lost |
 * | packet | 15 HWTYPE | u16, ARP type of the device that it came in by: 1 Ethernet |
 * | packet | 16 HWHEADER | the header of its frame |
 *
 * The group is the resource id of the nfgenmsg header.
 */

import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeType,
  FLAG,
  HEADER_BYTES,
  type MessageWriter,
  malformed,
  messageEnd,
  messageTypeAt,
} from './netlink.js';
import { messageType, NFGENMSG_BYTES, NFPROTO, SUBSYSTEM, writeNfgenmsg } from './nfnetlink.js';

const PACKET = messageType(SUBSYSTEM.NFLOG, 0);
const CONFIG = messageType(SUBSYSTEM.NFLOG, 1);
const CFG = { CMD: 1, MODE: 2, BUFFER_BYTES: 3, TIMEOUT: 4, THRESHOLD: 5, FLAGS: 6 } as const;
const COMMAND = { BIND: 1, UNBIND: 2 } as const;
const COPY_PACKET = 2;
const FLAG_SEQUENCE = 1;
const ETHERNET = 1;
const ETHERNET_BYTES = 14;
const ATTR = {
  HEADER: 1,
  MARK: 2,
  IN: 4,
  OUT: 5,
  PAYLOAD: 9,
  PREFIX: 10,
  SEQUENCE: 12,
  LINK_TYPE: 15,
  FRAME: 16,
} as const;

export interface LogGroupConfig {
  /** Bytes of each packet to copy. */
  readonly copyBytes: number;
  /** Bytes of one datagram to this program. */
  readonly bufferBytes: number;
  /** Packets that share a datagram; a packet waits for others at most `timeoutCentiseconds`. */
  readonly threshold: number;
  readonly timeoutCentiseconds: number;
}

/** Takes a group; a group belongs to one socket. */
export function writeBindGroup(writer: MessageWriter, seq: number, group: number): void {
  writeCommand(writer, seq, group, COMMAND.BIND);
}

export function writeUnbindGroup(writer: MessageWriter, seq: number, group: number): void {
  writeCommand(writer, seq, group, COMMAND.UNBIND);
}

function writeCommand(writer: MessageWriter, seq: number, group: number, command: number): void {
  writer.begin(CONFIG, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, group);
  writer.u8(CFG.CMD, command);
  writer.end();
}

/** Configures a group that is bound; sequence numbers on. */
export function writeGroupConfig(writer: MessageWriter, seq: number, group: number, config: LogGroupConfig): void {
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(config.copyBytes, 0);
  mode.writeUInt8(COPY_PACKET, 4);
  writer.begin(CONFIG, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, group);
  writer.bytes(CFG.MODE, mode);
  writer.u32(CFG.BUFFER_BYTES, config.bufferBytes);
  writer.u32(CFG.TIMEOUT, config.timeoutCentiseconds);
  writer.u32(CFG.THRESHOLD, config.threshold);
  writer.u16(CFG.FLAGS, FLAG_SEQUENCE);
  writer.end();
}

/** Changes only how many packets share a datagram, while the group goes on. */
export function writeGroupThreshold(writer: MessageWriter, seq: number, group: number, threshold: number): void {
  writer.begin(CONFIG, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, group);
  writer.u32(CFG.THRESHOLD, threshold);
  writer.end();
}

/**
 * One packet, read in place: nothing is copied and nothing built until it is asked for. The object is used for one packet
 * after the other, so keep no reference to it or to its payload.
 */
export class LoggedPacket {
  group = 0;
  hook = 0;
  /** 0 when the packet has none. */
  mark = 0;
  /** Index of the device it came in by; 0: none. */
  inDevice = 0;
  outDevice = 0;
  /** Counts the group's packets; a gap is a loss. */
  sequence = 0;
  /** Where the packet lies, from `payloadFrom` to `payloadTo`: what is read for every packet is read there. */
  view: DataView = new DataView(new ArrayBuffer(0));
  payloadFrom = 0;
  payloadTo = 0;
  /** Where the header of its Ethernet frame lies: destination, source, type. 0: it has none. */
  frameFrom = 0;
  /** What `view` shows. */
  #data: Buffer = Buffer.alloc(0);
  #linkType = 0;
  #prefixFrom = 0;
  #prefixTo = 0;
  /** The prefix of a packet before: mostly it is this one's, too. */
  #knownPrefix = '';

  /** The packet from its IP header on, as far as it was copied. */
  get payload(): Buffer {
    return this.#data.subarray(this.payloadFrom, this.payloadTo);
  }

  /** Text that the rule gave. */
  get prefix(): string {
    if (!this.#isKnown()) this.#knownPrefix = this.#data.toString('latin1', this.#prefixFrom, this.#prefixTo);
    return this.#knownPrefix;
  }

  get payloadBytes(): number {
    return this.payloadTo - this.payloadFrom;
  }

  #isKnown(): boolean {
    const from = this.#prefixFrom;
    const { length } = this.#knownPrefix;
    if (this.#prefixTo - from !== length) return false;
    for (let at = 0; at < length; at++) if (this.#data[from + at] !== this.#knownPrefix.charCodeAt(at)) return false;
    return true;
  }

  /**
   * Reads the message at `at` of a datagram. False: it isn't a packet (an acknowledgement, the end of a group of packets).
   * @throws PosternError `kernel` when it is malformed.
   */
  read(data: Buffer, at: number, end: number): boolean {
    if (messageTypeAt(data, at) !== PACKET) return false;
    const from = at + HEADER_BYTES + NFGENMSG_BYTES;
    if (end < from) throw malformed('cut netfilter header', at);
    if (data !== this.#data) this.#see(data);
    this.group = u16(data, from - 2);
    this.hook = this.mark = this.inDevice = this.outDevice = this.sequence = 0;
    this.payloadFrom = this.payloadTo = this.#prefixFrom = this.#prefixTo = 0;
    this.frameFrom = this.#linkType = 0;
    for (let next = from, stop = 0; next < end; next = align(stop)) {
      stop = attributeEnd(data, next, end);
      this.#take(attributeType(data, next), next + ATTRIBUTE_HEADER_BYTES, stop);
    }
    if (this.#linkType !== ETHERNET) this.frameFrom = 0;
    return true;
  }

  #see(data: Buffer): void {
    this.#data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.length);
  }

  #take(type: number, from: number, to: number): void {
    switch (type) {
      case ATTR.HEADER:
        if (to - from < 3) throw malformed('cut packet header', from);
        this.hook = this.#data[from + 2] as number;
        break;
      case ATTR.MARK:
        this.mark = u32(this.#data, from, to);
        break;
      case ATTR.IN:
        this.inDevice = u32(this.#data, from, to);
        break;
      case ATTR.OUT:
        this.outDevice = u32(this.#data, from, to);
        break;
      case ATTR.PAYLOAD:
        this.payloadFrom = from;
        this.payloadTo = to;
        break;
      case ATTR.PREFIX:
        this.#prefixFrom = from;
        // Without its NUL.
        this.#prefixTo = to > from && this.#data[to - 1] === 0 ? to - 1 : to;
        break;
      case ATTR.SEQUENCE:
        this.sequence = u32(this.#data, from, to);
        break;
      case ATTR.LINK_TYPE:
        if (to - from !== 2) throw malformed(`16-bit number of ${to - from} bytes`, from);
        this.#linkType = u16(this.#data, from);
        break;
      case ATTR.FRAME:
        this.frameFrom = to - from < ETHERNET_BYTES ? 0 : from;
        break;
    }
  }
}

function u16(data: Uint8Array, at: number): number {
  return (data[at]! << 8) | data[at + 1]!;
}

function u32(data: Uint8Array, from: number, to: number): number {
  if (to - from !== 4) throw malformed(`32-bit number of ${to - from} bytes`, from);
  return ((u16(data, from) << 16) | u16(data, from + 2)) >>> 0;
}

/** A packet that a rule logged to a group, as a copy of its own. */
export interface LogCopy {
  readonly group: number;
  readonly prefix: string;
  /** From the IP header on. */
  readonly packet: Uint8Array;
}

/** The kernel's bound on a datagram. */
const MAX_BUFFER_BYTES = 131_072;

/** Binds a group to the socket: two messages, each acknowledged. Copies come whole and at once. */
export function writeLogBind(writer: MessageWriter, seq: number, group: number): void {
  writeBindGroup(writer, seq, group);
  writeGroupConfig(writer, seq + 1, group, {
    copyBytes: 0xffff,
    bufferBytes: MAX_BUFFER_BYTES,
    threshold: 1,
    timeoutCentiseconds: 1,
  });
}

/** The copies in one or more datagrams behind each other. @throws PosternError `kernel` when they are malformed. */
export function readLogCopies(datagrams: Buffer): LogCopy[] {
  const copies: LogCopy[] = [];
  const packet = new LoggedPacket();
  for (let at = 0, end = 0; at < datagrams.length; at = align(end)) {
    end = messageEnd(datagrams, at);
    if (!packet.read(datagrams, at, end)) continue;
    copies.push({ group: packet.group, prefix: packet.prefix, packet: Uint8Array.from(packet.payload) });
  }
  return copies;
}
