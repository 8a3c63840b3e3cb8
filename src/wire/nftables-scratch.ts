/**
 * A table and a set to try elements on, without a rule. Real tables are loaded as nft text.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | Message | Attributes |
 * |---|---|
 * | NEWTABLE, DELTABLE | 1 NAME text, 2 FLAGS u32 |
 * | NEWSET | 1 TABLE, 2 NAME, 3 FLAGS u32, 4 KEY_TYPE u32 (for people only), 5 KEY_LEN u32, 9 DESC, 10 ID u32 |
 */

import { FLAG, type MessageWriter } from './netlink.js';
import { NFPROTO, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';

const TABLE_NAME = 1;
const SET = { TABLE: 1, NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_LENGTH: 5, ID: 10 } as const;
const SET_TIMEOUT = 0x10;
const TYPE_IPV4_ADDRESS = 7;

/** Adds an `inet` table; no error when it is there. */
export function writeScratchTable(writer: MessageWriter, seq: number, table: string): void {
  writer.begin(NFT.NEWTABLE, FLAG.REQUEST | FLAG.CREATE, seq);
  writeNfgenmsg(writer, NFPROTO.inet);
  writer.text(TABLE_NAME, table);
  writer.end();
}

/** Deletes an `inet` table with everything in it. */
export function writeScratchTableDelete(writer: MessageWriter, seq: number, table: string): void {
  writer.begin(NFT.DELTABLE, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, NFPROTO.inet);
  writer.text(TABLE_NAME, table);
  writer.end();
}

/** Adds a set of IPv4 addresses with timeouts. */
export function writeScratchSet(writer: MessageWriter, seq: number, table: string, set: string): void {
  writer.begin(NFT.NEWSET, FLAG.REQUEST | FLAG.CREATE, seq);
  writeNfgenmsg(writer, NFPROTO.inet);
  writer.text(SET.TABLE, table);
  writer.text(SET.NAME, set);
  writer.u32(SET.FLAGS, SET_TIMEOUT);
  writer.u32(SET.KEY_TYPE, TYPE_IPV4_ADDRESS);
  writer.u32(SET.KEY_LENGTH, 4);
  writer.u32(SET.ID, 1);
  writer.end();
}
