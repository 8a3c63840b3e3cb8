/**
 * Rules of nf_tables: which handle the kernel gave to which rule. Rules are loaded as nft text.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 TABLE, 2 CHAIN | text |
 * | 3 HANDLE | u64 |
 * | 7 USERDATA | records {type u8, length u8, bytes}; type 0 is the comment with its NUL |
 */

import { attributeMap, FLAG, type MessageWriter, malformed, readText, readU64be } from './netlink.js';
import { NFPROTO, readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';

const RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, USERDATA: 7 } as const;
const COMMENT = 0;

export interface WireRule {
  readonly family: number;
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint;
  readonly comment?: string;
}

/** Lists the rules of all tables. */
export function writeRulesRequest(writer: MessageWriter, seq: number): void {
  writer.begin(NFT.GETRULE, FLAG.REQUEST | FLAG.DUMP, seq);
  writeNfgenmsg(writer, NFPROTO.unspec);
  writer.end();
}

/** The body of a NEWRULE message. @throws PosternError `kernel` when it is malformed. */
export function readRule(body: Buffer): WireRule {
  const { family, attributesAt } = readNfgenmsg(body);
  const found = attributeMap(body, attributesAt);
  const [table, chain, handle] = [found.get(RULE.TABLE), found.get(RULE.CHAIN), found.get(RULE.HANDLE)];
  if (table === undefined || chain === undefined || handle === undefined) throw malformed('rule without a handle', 0);
  const comment = commentOf(found.get(RULE.USERDATA));
  return {
    family,
    table: readText(table),
    chain: readText(chain),
    handle: readU64be(handle),
    ...(comment !== undefined && { comment }),
  };
}

function commentOf(userdata: Buffer | undefined): string | undefined {
  if (userdata === undefined) return undefined;
  for (let at = 0; at + 2 <= userdata.length; ) {
    const end = at + 2 + (userdata[at + 1] as number);
    if (userdata[at] === COMMENT) return readText(userdata.subarray(at + 2, end));
    at = end;
  }
  return undefined;
}
