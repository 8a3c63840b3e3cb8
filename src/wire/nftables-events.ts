/**
 * Events of nf_tables: what a committed transaction has added and deleted, then its generation. Rules' packets and
 * expiring timeouts raise none. Source: linux/netfilter/nf_tables.h, nfnetlink group 7.
 *
 * | Message | Attributes that name it |
 * |---|---|
 * | NEWTABLE, DELTABLE | 1 NAME |
 * | NEWCHAIN, DELCHAIN | 1 TABLE, 3 NAME |
 * | NEWRULE, DELRULE | 1 TABLE, 2 CHAIN |
 * | NEWSET, DELSET, NEWSETELEM, DELSETELEM, NEWOBJ, DELOBJ, NEWFLOWTABLE, DELFLOWTABLE | 1 TABLE, 2 NAME |
 * | NEWGEN | see nftables-generation.ts |
 */

import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeType,
  malformed,
  type NetlinkMessage,
  readText,
} from './netlink.js';
import { readNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';

export type EventObject = 'table' | 'chain' | 'rule' | 'set' | 'element' | 'object' | 'flowtable';

export interface NftablesEvent {
  readonly op: 'new' | 'delete';
  readonly object: EventObject;
  /** A value of NFPROTO. */
  readonly family: number;
  readonly table: string;
  /** Of the chain, set, object or flowtable; a rule's is its chain's, an element's its set's. Absent: the table itself. */
  readonly name?: string;
}

interface Kind {
  readonly op: 'new' | 'delete';
  readonly object: EventObject;
  /** Attribute with the name within the table; 0: none. */
  readonly name: number;
}

const TABLE = 1;
const kinds = new Map<number, Kind>([
  [NFT.NEWTABLE, { op: 'new', object: 'table', name: 0 }],
  [NFT.DELTABLE, { op: 'delete', object: 'table', name: 0 }],
  [NFT.NEWCHAIN, { op: 'new', object: 'chain', name: 3 }],
  [NFT.DELCHAIN, { op: 'delete', object: 'chain', name: 3 }],
  [NFT.NEWRULE, { op: 'new', object: 'rule', name: 2 }],
  [NFT.DELRULE, { op: 'delete', object: 'rule', name: 2 }],
  [NFT.NEWSET, { op: 'new', object: 'set', name: 2 }],
  [NFT.DELSET, { op: 'delete', object: 'set', name: 2 }],
  [NFT.NEWSETELEM, { op: 'new', object: 'element', name: 2 }],
  [NFT.DELSETELEM, { op: 'delete', object: 'element', name: 2 }],
  [NFT.NEWOBJ, { op: 'new', object: 'object', name: 2 }],
  [NFT.DELOBJ, { op: 'delete', object: 'object', name: 2 }],
  [NFT.NEWFLOWTABLE, { op: 'new', object: 'flowtable', name: 2 }],
  [NFT.DELFLOWTABLE, { op: 'delete', object: 'flowtable', name: 2 }],
]);

/**
 * Reads one message of the group; undefined for one that says nothing about a table (NEWGEN, traces).
 * @throws PosternError `kernel` when it is malformed.
 */
export function readEvent({ type, body }: NetlinkMessage): NftablesEvent | undefined {
  const kind = kinds.get(type);
  if (kind === undefined) return undefined;
  const { family, attributesAt } = readNfgenmsg(body);
  let table: string | undefined;
  let name: string | undefined;
  for (let at = attributesAt, end = 0; at < body.length; at = align(end)) {
    end = attributeEnd(body, at, body.length);
    const attribute = attributeType(body, at);
    if (attribute === TABLE) table = readText(body.subarray(at + ATTRIBUTE_HEADER_BYTES, end));
    else if (attribute === kind.name) name = readText(body.subarray(at + ATTRIBUTE_HEADER_BYTES, end));
    // Names come first; what follows (a rule's expressions, an element) is of no interest.
    if (table !== undefined && (kind.name === 0 || name !== undefined)) break;
  }
  if (table === undefined) throw malformed('event without a table', 0);
  return { op: kind.op, object: kind.object, family, table, ...(name === undefined ? {} : { name }) };
}
