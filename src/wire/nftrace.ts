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

import { attributeMap, malformed, readMessages, readText, readU32be, readU64be } from './netlink.js';
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

/** The body of one message. @throws PosternError `kernel` when it is malformed. */
export function readTraceEvent(body: Buffer): TraceEvent {
  const { family, attributesAt } = readNfgenmsg(body);
  const found = attributeMap(body, attributesAt);
  const [table, chain, type, id] = [TRACE.TABLE, TRACE.CHAIN, TRACE.TYPE, TRACE.ID].map((wanted) => found.get(wanted));
  if (table === undefined || chain === undefined || type === undefined || id === undefined) {
    throw malformed('trace without table, chain, type or id', 0);
  }
  const kind = kinds.get(readU32be(type) as 1 | 2 | 3);
  if (kind === undefined) throw malformed(`trace of type ${readU32be(type)}`, 0);
  const handle = found.get(TRACE.HANDLE);
  return {
    family,
    table: readText(table),
    chain: readText(chain),
    ...(handle !== undefined && { handle: readU64be(handle) }),
    kind,
    ...verdictOf(kind, found),
    id: readU32be(id),
    ...headersOf(found),
    ...numberOf('mark', found.get(TRACE.MARK)),
    ...numberOf('protocol', found.get(TRACE.PROTOCOL)),
    ...trackingOf(found),
  };
}

type Attributes = ReadonlyMap<number, Buffer>;

function verdictOf(kind: TraceEvent['kind'], found: Attributes): Pick<TraceEvent, 'verdict' | 'target'> {
  const policy = found.get(TRACE.POLICY);
  if (kind === 'policy' && policy !== undefined) return { verdict: verdictName(policy.readInt32BE(0)) };
  const nested = found.get(TRACE.VERDICT);
  if (nested === undefined) return { verdict: kind === 'return' ? 'return' : 'continue' };
  const verdict = attributeMap(nested);
  const code = verdict.get(VERDICT.CODE);
  const chain = verdict.get(VERDICT.CHAIN);
  if (code?.length !== 4) throw malformed('trace with a verdict without a code', 0);
  return { verdict: verdictName(code.readInt32BE(0)), ...(chain !== undefined && { target: readText(chain) }) };
}

function verdictName(code: number): TraceEvent['verdict'] {
  // The kernel keeps the errno of a drop in the upper half.
  const plain = code > 0 ? code & 0xff : code;
  return verdicts.get(plain as 0) ?? 'unknown';
}

function headersOf(found: Attributes): Pick<TraceEvent, 'network' | 'transport' | 'iif' | 'oif'> {
  const [network, transport] = [found.get(TRACE.NETWORK), found.get(TRACE.TRANSPORT)];
  return {
    ...(network !== undefined && { network: Uint8Array.from(network) }),
    ...(transport !== undefined && { transport: Uint8Array.from(transport) }),
    ...numberOf('iif', found.get(TRACE.IIF)),
    ...numberOf('oif', found.get(TRACE.OIF)),
  };
}

function numberOf<K extends 'iif' | 'oif' | 'mark' | 'protocol'>(name: K, payload: Buffer | undefined) {
  return payload === undefined ? {} : ({ [name]: readU32be(payload) } as { readonly [N in K]: number });
}

function trackingOf(found: Attributes): Pick<TraceEvent, 'ctDirection' | 'ctState'> {
  const direction = found.get(TRACE.CT_DIRECTION);
  const state = found.get(TRACE.CT_STATE);
  return {
    ...(direction?.length === 1 && { ctDirection: direction[0] === 0 ? 'original' : 'reply' }),
    ...(state !== undefined && { ctState: readU32be(state) }),
  };
}
