/**
 * Named objects of nf_tables: counters and quotas are read without listing anything else.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 TABLE, 2 NAME | text |
 * | 3 TYPE | u32: 1 counter, 2 quota |
 * | 4 DATA | nested: as in an element's counter or quota |
 * | 5 USE | u32: how many rules and elements refer to it |
 * | 6 HANDLE | u64 |
 */

import { attributeMap, FLAG, type MessageWriter, malformed, readText, readU32be } from './netlink.js';
import { readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';
import { type CounterValue, type QuotaValue, readCounter, readQuota, writeQuotaValue } from './nftables-expressions.js';

const OBJECT = { TABLE: 1, NAME: 2, TYPE: 3, DATA: 4 } as const;

export const OBJECT_TYPE = { counter: 1, quota: 2, 'ct helper': 3, limit: 4, 'ct timeout': 7 } as const;

export interface ObjectAddress {
  readonly family: number;
  readonly table: string;
  /** Absent in a dump: all of the table. */
  readonly name?: string;
  /** A value of OBJECT_TYPE. */
  readonly type: number;
}

export interface WireObject {
  readonly family: number;
  readonly table: string;
  readonly name: string;
  readonly type: number;
  readonly counter?: CounterValue;
  readonly quota?: QuotaValue;
}

/** GETOBJ or GETOBJ_RESET for one object, or with FLAG.DUMP for all of a table. */
export function writeObjectRequest(
  writer: MessageWriter,
  type: number,
  flags: number,
  seq: number,
  object: ObjectAddress,
): void {
  writer.begin(type, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, object.family);
  writer.text(OBJECT.TABLE, object.table);
  if (object.name !== undefined) writer.text(OBJECT.NAME, object.name);
  writer.u32(OBJECT.TYPE, object.type);
  writer.end();
}

/** NEWOBJ for a quota; of one that is there the kernel takes the limit and leaves what was used (nft_quota_obj_update). */
export function writeQuotaObject(
  writer: MessageWriter,
  flags: number,
  seq: number,
  object: Required<ObjectAddress>,
  quota: QuotaValue,
): void {
  writer.begin(NFT.NEWOBJ, FLAG.REQUEST | flags, seq);
  writeNfgenmsg(writer, object.family);
  writer.text(OBJECT.TABLE, object.table);
  writer.text(OBJECT.NAME, object.name);
  writer.u32(OBJECT.TYPE, object.type);
  const data = writer.open(OBJECT.DATA);
  writeQuotaValue(writer, quota);
  writer.close(data);
  writer.end();
}

/**
 * Reads the body of a NEWOBJ or DELOBJ message.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readObject(body: Buffer): WireObject {
  const { family, attributesAt } = readNfgenmsg(body);
  const found = attributeMap(body, attributesAt);
  const table = found.get(OBJECT.TABLE);
  const name = found.get(OBJECT.NAME);
  const type = found.get(OBJECT.TYPE);
  if (table === undefined || name === undefined || type === undefined) throw malformed('object without a name', 0);
  const data = found.get(OBJECT.DATA);
  const named = { family, table: readText(table), name: readText(name), type: readU32be(type) };
  if (data === undefined) return named;
  if (named.type === OBJECT_TYPE.counter) return { ...named, counter: readCounter(data, 0, data.length) };
  if (named.type === OBJECT_TYPE.quota) return { ...named, quota: readQuota(data, 0, data.length) };
  return named;
}
