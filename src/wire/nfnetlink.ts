/**
 * What all netfilter subsystems share: message types, the nfgenmsg header, the batch.
 * Source: linux/netfilter/nfnetlink.h.
 *
 * | nfgenmsg offset | Size | Field |
 * |---|---|---|
 * | 0 | 1 | family |
 * | 1 | 1 | version, 0 unless said otherwise |
 * | 2 | 2 | resource id, big-endian: NFLOG group, batch's subsystem, low bits of the generation |
 */

import { FLAG, type MessageWriter, malformed } from './netlink.js';

export const SUBSYSTEM = { CONNTRACK: 1, NFLOG: 4, IPSET: 6, NFTABLES: 10 } as const;
export const NFPROTO = { unspec: 0, inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;

/** Type of the message that begins a transaction. */
export const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const BATCH_GENERATION = 1;
/** Bytes of the nfgenmsg header. */
export const NFGENMSG_BYTES = 4;

/** Message type of a subsystem's message number. */
export function messageType(subsystem: number, message: number): number {
  return (subsystem << 8) | message;
}

/** Writes the nfgenmsg header behind the message header. */
export function writeNfgenmsg(writer: MessageWriter, family: number, resource = 0, version = 0): void {
  writer.header(Uint8Array.of(family, version, resource >> 8, resource & 0xff));
}

/** The nfgenmsg header; attributes start at `attributesAt`. */
export function readNfgenmsg(body: Buffer): { family: number; resource: number; attributesAt: number } {
  if (body.length < NFGENMSG_BYTES) throw malformed('cut netfilter header', 0);
  return { family: body.readUInt8(0), resource: body.readUInt16BE(2), attributesAt: NFGENMSG_BYTES };
}

/**
 * Opens an nf_tables transaction. With `generation` the kernel refuses the batch (ERESTART) when another
 * transaction was committed since that generation was read.
 */
export function writeBatchBegin(writer: MessageWriter, seq: number, generation?: number): void {
  writer.begin(BATCH_BEGIN, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, SUBSYSTEM.NFTABLES);
  if (generation !== undefined) writer.u32(BATCH_GENERATION, generation);
  writer.end();
}

/** Commits the transaction. */
export function writeBatchEnd(writer: MessageWriter, seq: number): void {
  writer.begin(BATCH_END, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, NFPROTO.unspec, SUBSYSTEM.NFTABLES);
  writer.end();
}
