/**
 * Stateful expressions: counters and quotas, of elements and of named objects.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | In | Attribute | Content |
 * |---|---|---|
 * | expression | 1 NAME, 2 DATA | text, nested |
 * | counter | 1 BYTES, 2 PACKETS | u64 |
 * | quota | 1 BYTES, 2 FLAGS, 4 CONSUMED | u64, u32 (1 over), u64 |
 */

import { attributeMap, type MessageWriter, malformed, readU32be, readU64be } from './netlink.js';

export const EXPRESSION = { NAME: 1, DATA: 2 } as const;
export const COUNTER = { BYTES: 1, PACKETS: 2 } as const;
const QUOTA = { BYTES: 1, FLAGS: 2, CONSUMED: 4 } as const;
const QUOTA_OVER = 1;

export interface CounterValue {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface QuotaValue {
  readonly limitBytes: bigint;
  readonly usedBytes: bigint;
  readonly over: boolean;
}

/** Writes a counter as an attribute of this type. */
export function writeCounter(writer: MessageWriter, type: number, counter: CounterValue): void {
  const expression = writer.open(type);
  writer.text(EXPRESSION.NAME, 'counter');
  const data = writer.open(EXPRESSION.DATA);
  writer.u64big(COUNTER.BYTES, counter.bytes);
  writer.u64big(COUNTER.PACKETS, counter.packets);
  writer.close(data);
  writer.close(expression);
}

/** Writes a quota as an attribute of this type. */
export function writeQuota(writer: MessageWriter, type: number, quota: QuotaValue): void {
  const expression = writer.open(type);
  writer.text(EXPRESSION.NAME, 'quota');
  const data = writer.open(EXPRESSION.DATA);
  writeQuotaValue(writer, quota);
  writer.close(data);
  writer.close(expression);
}

/** A quota's payload, of an element or of a named object, in the order of libnftnl. */
export function writeQuotaValue(writer: MessageWriter, { limitBytes, usedBytes, over }: QuotaValue): void {
  writer.u64big(QUOTA.BYTES, limitBytes);
  writer.u64big(QUOTA.CONSUMED, usedBytes);
  writer.u32(QUOTA.FLAGS, over ? QUOTA_OVER : 0);
}

/** A counter's payload, of an element or of a named object. */
export function readCounter(data: Buffer, from: number, to: number): CounterValue {
  const found = attributeMap(data, from, to);
  const bytes = found.get(COUNTER.BYTES);
  const packets = found.get(COUNTER.PACKETS);
  if (bytes === undefined || packets === undefined) throw malformed('counter without its numbers', from);
  return { packets: readU64be(packets), bytes: readU64be(bytes) };
}

/** A quota's payload, of an element or of a named object. */
export function readQuota(data: Buffer, from: number, to: number): QuotaValue {
  const found = attributeMap(data, from, to);
  const limit = found.get(QUOTA.BYTES);
  const flags = found.get(QUOTA.FLAGS);
  const consumed = found.get(QUOTA.CONSUMED);
  if (limit === undefined) throw malformed('quota without its limit', from);
  return {
    limitBytes: readU64be(limit),
    usedBytes: consumed === undefined ? 0n : readU64be(consumed),
    over: flags !== undefined && (readU32be(flags) & QUOTA_OVER) !== 0,
  };
}
