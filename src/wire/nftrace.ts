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
  malformed,
  readMessages,
  readU64be,
} from './netlink.js';
import { messageType, readNfgenmsg, SUBSYSTEM } from './nfnetlink.js';

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
  PROTOCOL: 15,
  POLICY: 16,
  CT_DIRECTION: 19,
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
  readonly handle?: bigint;
  readonly kind: 'policy' | 'return' | 'rule';
  /** `unknown` for a code that isn't known here. */
  readonly verdict: TraceVerdict | 'unknown';
  /** Where a jump or goto leads. */
  readonly target?: string;
  readonly id: number;
  readonly network?: Uint8Array;
  readonly transport?: Uint8Array;
  /** Interface indexes. */
  readonly iif?: number;
  readonly oif?: number;
  readonly mark?: number;
  /** NFPROTO of the packet. */
  readonly protocol?: number;
  readonly ctDirection?: 'original' | 'reply';
  /** Bits of CT_STATE. */
  readonly ctState?: number;
}

/** All trace events of one or more datagrams behind each other. @throws PosternError `kernel` when they are malformed. */
export function readTrace(datagrams: Buffer): TraceEvent[] {
  return readMessages(datagrams)
    .filter(({ type }) => type === TRACE_MESSAGE)
    .map(({ body }) => readTraceEvent(body));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The body of one message; its headers are views of it. @throws PosternError `kernel` when it is malformed. */
export function readTraceEvent(body: Buffer): TraceEvent {
  const { family, attributesAt } = readNfgenmsg(body);
  const event = blankEvent(family);
  let type = 0;
  let policy: TraceEvent['verdict'] | undefined;
  for (let at = attributesAt, end = 0; at < body.length; at = align(end)) {
    end = attributeEnd(body, at, body.length);
    const from = at + ATTRIBUTE_HEADER_BYTES;
    const attribute = attributeType(body, at);
    if (attribute === TRACE.TYPE) type = u32(body, from, end);
    else if (attribute === TRACE.POLICY) policy = verdictName(u32(body, from, end) | 0);
    else readAttribute(event, attribute, body, from, end);
  }
  const kind = kinds.get(type as 1 | 2 | 3);
  if (event.table === '' || event.chain === '' || event.id === NO_ID || kind === undefined) {
    throw malformed('trace without table, chain, type or id', 0);
  }
  event.kind = kind;
  if (kind === 'policy' && policy !== undefined) event.verdict = policy;
  else if (kind === 'return') event.verdict = 'return';
  return event;
}

const NO_ID = -1;

/** All fields from the start: a packet has some twenty events, and objects of one shape are quick. */
const blankEvent = (family: number): Mutable<TraceEvent> => ({
  family,
  table: '',
  chain: '',
  handle: undefined,
  kind: 'rule',
  verdict: 'continue',
  target: undefined,
  id: NO_ID,
  network: undefined,
  transport: undefined,
  iif: undefined,
  oif: undefined,
  mark: undefined,
  protocol: undefined,
  ctDirection: undefined,
  ctState: undefined,
});

function readAttribute(event: Mutable<TraceEvent>, attribute: number, body: Buffer, from: number, end: number) {
  switch (attribute) {
    case TRACE.TABLE:
      event.table = text(body, from, end);
      break;
    case TRACE.CHAIN:
      event.chain = text(body, from, end);
      break;
    case TRACE.HANDLE:
      event.handle = readU64be(body.subarray(from, end));
      break;
    case TRACE.VERDICT:
      readVerdict(event, body.subarray(from, end));
      break;
    case TRACE.ID:
      event.id = u32(body, from, end);
      break;
    case TRACE.NETWORK:
      event.network = body.subarray(from, end);
      break;
    case TRACE.TRANSPORT:
      event.transport = body.subarray(from, end);
      break;
    case TRACE.IIF:
      event.iif = u32(body, from, end);
      break;
    case TRACE.OIF:
      event.oif = u32(body, from, end);
      break;
    case TRACE.MARK:
      event.mark = u32(body, from, end);
      break;
    case TRACE.PROTOCOL:
      event.protocol = u32(body, from, end);
      break;
    case TRACE.CT_DIRECTION:
      event.ctDirection = body[from] === 0 ? 'original' : 'reply';
      break;
    case TRACE.CT_STATE:
      event.ctState = u32(body, from, end);
      break;
  }
}

/** Names are short and without a NUL inside; the last byte is one. */
function text(body: Buffer, from: number, end: number): string {
  return body.toString('latin1', from, body[end - 1] === 0 ? end - 1 : end);
}

function u32(body: Buffer, from: number, end: number): number {
  if (end - from !== 4) throw malformed(`32-bit number of ${end - from} bytes`, from);
  return body.readUInt32BE(from);
}

function readVerdict(event: Mutable<TraceEvent>, nested: Buffer): void {
  for (let at = 0, end = 0; at < nested.length; at = align(end)) {
    end = attributeEnd(nested, at, nested.length);
    const from = at + ATTRIBUTE_HEADER_BYTES;
    const attribute = attributeType(nested, at);
    if (attribute === VERDICT.CODE) event.verdict = verdictName(u32(nested, from, end) | 0);
    else if (attribute === VERDICT.CHAIN) event.target = text(nested, from, end);
  }
}

function verdictName(code: number): TraceEvent['verdict'] {
  // The kernel keeps the errno of a drop in the upper half.
  const plain = code > 0 ? code & 0xff : code;
  return verdicts.get(plain as 0) ?? 'unknown';
}
