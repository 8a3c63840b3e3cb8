/**
 * Tables of nf_tables: which there are. Source: linux/netfilter/nf_tables.h.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 NAME | text |
 */

import { attributeMap, FLAG, type MessageWriter, malformed, readText } from './netlink.js';
import { NFPROTO, readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';

const TABLE = { NAME: 1 } as const;

export interface WireTable {
  readonly family: number;
  readonly name: string;
}

/** Lists the tables of all families. */
export function writeTablesRequest(writer: MessageWriter, seq: number): void {
  writer.begin(NFT.GETTABLE, FLAG.REQUEST | FLAG.DUMP, seq);
  writeNfgenmsg(writer, NFPROTO.unspec);
  writer.end();
}

/** The body of a NEWTABLE message. @throws PosternError `kernel` when it is malformed. */
export function readTable(body: Buffer): WireTable {
  const { family, attributesAt } = readNfgenmsg(body);
  const name = attributeMap(body, attributesAt).get(TABLE.NAME);
  if (name === undefined) throw malformed('table without a name', 0);
  return { family, name: readText(name) };
}
