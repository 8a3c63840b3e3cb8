/**
 * NFLOG: copies of packets for user space. Source: linux/netfilter/nfnetlink_log.h; numbers are big-endian.
 * The group stands in the resource id of the header.
 *
 * | Message | Attributes |
 * |---|---|
 * | CONFIG | 1 CMD u8 (1 bind), 2 MODE {range u32, mode u8, padding u8}, 5 QTHRESH u32 |
 * | PACKET | 9 PAYLOAD bytes, 10 PREFIX text |
 */

import { attributeMap, FLAG, type MessageWriter, readMessages, readText } from './netlink.js';
import { messageType, NFPROTO, readNfgenmsg, SUBSYSTEM, writeNfgenmsg } from './nfnetlink.js';

const PACKET = messageType(SUBSYSTEM.NFLOG, 0);
const CONFIG = messageType(SUBSYSTEM.NFLOG, 1);
const CONFIGURE = { COMMAND: 1, MODE: 2, QUEUE_THRESHOLD: 5 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
const COPY = { PAYLOAD: 9, PREFIX: 10 } as const;

/** A packet that a rule logged to a group. */
export interface LogCopy {
  readonly group: number;
  readonly prefix: string;
  /** From the IP header on. */
  readonly packet: Uint8Array;
}

/** Binds a group to the socket: two messages, each acknowledged. Copies come whole and at once. */
export function writeLogBind(writer: MessageWriter, seq: number, group: number): void {
  writer.begin(CONFIG, FLAG.REQUEST | FLAG.ACK, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, group);
  writer.u8(CONFIGURE.COMMAND, COMMAND_BIND);
  writer.end();
  writer.begin(CONFIG, FLAG.REQUEST | FLAG.ACK, seq + 1);
  writeNfgenmsg(writer, NFPROTO.unspec, group);
  writer.bytes(CONFIGURE.MODE, Uint8Array.of(0, 0, 0xff, 0xff, COPY_PACKET, 0));
  writer.u32(CONFIGURE.QUEUE_THRESHOLD, 1);
  writer.end();
}

/** The copies in one or more datagrams behind each other. @throws PosternError `kernel` when they are malformed. */
export function readLogCopies(datagrams: Buffer): LogCopy[] {
  return readMessages(datagrams)
    .filter(({ type }) => type === PACKET)
    .map(({ body }) => {
      const { resource, attributesAt } = readNfgenmsg(body);
      const found = attributeMap(body, attributesAt);
      const prefix = found.get(COPY.PREFIX);
      return {
        group: resource,
        prefix: prefix === undefined ? '' : readText(prefix),
        packet: Uint8Array.from(found.get(COPY.PAYLOAD) ?? []),
      };
    });
}
