/**
 * What nf_tables tells of a packet with `meta nftrace set 1`: one message for every rule whose matches hold, and one at
 * a chain's end that no rule ended. Source: linux/netfilter/nf_tables.h (NFTA_TRACE_*); numbers are big-endian.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 TABLE, 2 CHAIN | text |
 * | 3 RULE_HANDLE | u64, by table; absent at a chain's end |
 * | 4 TYPE | u32: 1 policy, 2 return, 3 rule |
 * | 5 VERDICT | nested: 1 CODE i32, 2 CHAIN text |
 * | 6 ID | u32: the same for all messages of a packet in a namespace |
 * | 7 LL, 8 NETWORK, 9 TRANSPORT | the packet's headers; in the first message of each base chain |
 * | 10 IIF, 12 OIF | u32 interface index; as 7 |
 * | 14 MARK | u32, when not 0 |
 * | 15 NFPROTO | u32: family of the packet |
 * | 16 POLICY | u32 verdict, with type policy |
 * | 18 CT_ID, 19 CT_DIRECTION, 20 CT_STATUS, 21 CT_STATE | u32, u8, u32, u32; kernels before 6.16 leave them out |
 */

import {
  ATTRIBUTE_HEADER_BYTES,
  align,
  attributeEnd,
  attributeType,
  HEADER_BYTES,
  malformed,
  messageEnd,
} from './netlink.js';
import { messageType, NFGENMSG_BYTES, SUBSYSTEM } from './nfnetlink.js';

/** Type of the messages. */
export const TRACE_MESSAGE = messageType(SUBSYSTEM.NFTABLES, 17);
/** Multicast group in which they come. */
export const TRACE_GROUP = 9;

const TRACE = {
  TABLE: 1,
  CHAIN: 2,
  HANDLE: 3,
  TYPE: 4,
  VERDICT: 5,
  ID: 6,
  NETWORK: 8,
  TRANSPORT: 9,
  IIF: 10,
  OIF: 12,
  MARK: 14,
  POLICY: 16,
  CT_STATE: 21,
} as const;
const VERDICT = { CODE: 1, CHAIN: 2 } as const;

const kinds = new Map([
  [1, 'policy'],
  [2, 'return'],
  [3, 'rule'],
] as const);

const verdicts = new Map([
  [0, 'drop'],
  [1, 'accept'],
  [2, 'stolen'],
  [3, 'queue'],
  [-1, 'continue'],
  [-3, 'jump'],
  [-4, 'goto'],
  [-5, 'return'],
] as const);

export type TraceVerdict = typeof verdicts extends Map<number, infer V> ? V : never;

/** Bits of CT_STATE. */
export const CT_STATE = { INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8, UNTRACKED: 64 } as const;

/** One message, decoded. */
export interface TraceEvent {
  /** NFPROTO of the table. */
  readonly family: number;
  readonly table: string;
  readonly chain: string;
  /** Of the rule, with `family` and `table`; absent at a chain's end. */
  readonly handle?: number;
  readonly kind: 'policy' | 'return' | 'rule';
  /** `unknown` for a code that isn't known here. */
  readonly verdict: TraceVerdict | 'unknown';
  /** Where a jump or goto leads. */
  readonly target?: string;
  readonly id: number;
  /** Views of the datagram. */
  readonly network?: Uint8Array;
  readonly transport?: Uint8Array;
  /** Interface indexes. */
  readonly iif?: number;
  readonly oif?: number;
  readonly mark?: number;
  /** Bits of CT_STATE. */
  readonly ctState?: number;
}

/** All trace events of one or more datagrams behind each other. @throws PosternError `kernel` when they are malformed. */
export function readTrace(datagrams: Buffer): TraceEvent[] {
  const events: TraceEvent[] = [];
  for (let at = 0, end = 0; at < datagrams.length; at = align(end)) {
    end = messageEnd(datagrams, at);
    if (datagrams.readUInt16LE(at + 4) === TRACE_MESSAGE) events.push(new Message(datagrams, at + HEADER_BYTES, end));
  }
  return events;
}

const NO_ID = -1;

/** Read in place, its headers only when they are asked for: a packet has some twenty events, and views are dear. */
class Message implements TraceEvent {
  readonly family: number;
  table = '';
  chain = '';
  handle: number | undefined;
  kind: TraceEvent['kind'] = 'rule';
  verdict: TraceEvent['verdict'] = 'continue';
  target: string | undefined;
  id = NO_ID;
  iif: number | undefined;
  oif: number | undefined;
  mark: number | undefined;
  ctState: number | undefined;
  private networkAt = 0;
  private networkEnd = 0;
  private transportAt = 0;
  private transportEnd = 0;

  constructor(
    private readonly data: Buffer,
    from: number,
    to: number,
  ) {
    if (to - from < NFGENMSG_BYTES) throw malformed('cut netfilter header', from);
    this.family = data[from]!;
    let kind: TraceEvent['kind'] | undefined;
    let policy: TraceEvent['verdict'] | undefined;
    for (let at = from + NFGENMSG_BYTES, end = 0; at < to; at = align(end)) {
      end = attributeEnd(data, at, to);
      const value = at + ATTRIBUTE_HEADER_BYTES;
      const type = attributeType(data, at);
      if (type === TRACE.TYPE) kind = kinds.get(u32(data, value, end) as 1 | 2 | 3);
      else if (type === TRACE.POLICY) policy = verdictName(u32(data, value, end));
      else this.take(type, value, end);
    }
    if (this.table === '' || this.chain === '' || this.id === NO_ID || kind === undefined) {
      throw malformed('trace without table, chain, type or id', from);
    }
    this.kind = kind;
    if (kind === 'policy' && policy !== undefined) this.verdict = policy;
    else if (kind === 'return') this.verdict = 'return';
  }

  get network(): Uint8Array | undefined {
    return this.networkEnd === 0 ? undefined : this.data.subarray(this.networkAt, this.networkEnd);
  }

  get transport(): Uint8Array | undefined {
    return this.transportEnd === 0 ? undefined : this.data.subarray(this.transportAt, this.transportEnd);
  }

  private take(type: number, from: number, end: number): void {
    const { data } = this;
    switch (type) {
      case TRACE.TABLE:
        this.table = text(data, from, end);
        break;
      case TRACE.CHAIN:
        this.chain = text(data, from, end);
        break;
      case TRACE.HANDLE:
        this.handle = u64(data, from, end);
        break;
      case TRACE.VERDICT:
        this.takeVerdict(from, end);
        break;
      case TRACE.ID:
        this.id = u32(data, from, end);
        break;
      case TRACE.NETWORK:
        this.networkAt = from;
        this.networkEnd = end;
        break;
      case TRACE.TRANSPORT:
        this.transportAt = from;
        this.transportEnd = end;
        break;
      case TRACE.IIF:
        this.iif = u32(data, from, end);
        break;
      case TRACE.OIF:
        this.oif = u32(data, from, end);
        break;
      case TRACE.MARK:
        this.mark = u32(data, from, end);
        break;
      case TRACE.CT_STATE:
        this.ctState = u32(data, from, end);
        break;
    }
  }

  private takeVerdict(start: number, limit: number): void {
    const { data } = this;
    for (let at = start, end = 0; at < limit; at = align(end)) {
      end = attributeEnd(data, at, limit);
      const from = at + ATTRIBUTE_HEADER_BYTES;
      const type = attributeType(data, at);
      if (type === VERDICT.CODE) this.verdict = verdictName(u32(data, from, end));
      else if (type === VERDICT.CHAIN) this.target = text(data, from, end);
    }
  }
}

/** Names are short and without a NUL inside; the last byte is one. */
function text(data: Buffer, from: number, end: number): string {
  return data.toString('latin1', from, data[end - 1] === 0 ? end - 1 : end);
}

function u32(data: Buffer, from: number, end: number): number {
  if (end - from !== 4) throw malformed(`32-bit number of ${end - from} bytes`, from);
  return data.readUInt32BE(from);
}

/** A rule's handle counts the rules of its table: it never comes near 2^53. */
function u64(data: Buffer, from: number, end: number): number {
  if (end - from !== 8) throw malformed(`64-bit number of ${end - from} bytes`, from);
  return data.readUInt32BE(from) * 0x1_0000_0000 + data.readUInt32BE(from + 4);
}

function verdictName(word: number): TraceEvent['verdict'] {
  const code = word | 0;
  // The kernel keeps the errno of a drop in the upper half.
  const plain = code > 0 ? code & 0xff : code;
  return verdicts.get(plain as 0) ?? 'unknown';
}
