/**
 * Set headers of nf_tables: what a set is and how many elements it has, without listing them.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 TABLE, 2 NAME | text |
 * | 16 HANDLE | u64 |
 * | 20 COUNT | u32: elements, expired ones that were not yet collected included (recent kernels only) |
 */

import { attributeMap, FLAG, type MessageWriter, malformed, readText, readU32be } from './netlink.js';
import { readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';
import type { SetAddress } from './nftables-elements.js';

const SET = { TABLE: 1, NAME: 2, COUNT: 20 } as const;

export interface WireSet extends SetAddress {
  /** Absent where the kernel doesn't tell. */
  readonly count?: number;
}

/** Asks for one set's header. */
export function writeSetHeaderRequest(writer: MessageWriter, seq: number, set: SetAddress): void {
  writer.begin(NFT.GETSET, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, set.family);
  writer.text(SET.TABLE, set.table);
  writer.text(SET.NAME, set.set);
  writer.end();
}

/**
 * Reads the body of a NEWSET or DELSET message.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readSetHeader(body: Buffer): WireSet {
  const { family, attributesAt } = readNfgenmsg(body);
  const found = attributeMap(body, attributesAt);
  const table = found.get(SET.TABLE);
  const name = found.get(SET.NAME);
  if (table === undefined || name === undefined) throw malformed('set without a name', 0);
  const count = found.get(SET.COUNT);
  return {
    family,
    table: readText(table),
    set: readText(name),
    ...(count === undefined ? {} : { count: readU32be(count) }),
  };
}
