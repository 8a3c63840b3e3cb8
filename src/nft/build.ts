/**
 * Constructors for the ruleset model, so that a recipe reads like the nft line that it becomes:
 *
 *     rule(match(ip('saddr'), '@h4_bruteforce'), counter('c_bans'), drop)
 *
 * They only assemble; whether names exist and types agree is checked when the ruleset is rendered and loaded.
 */

import type { Expression, Limit, MatchOperator, NatTarget, QuotaSpec, Rule, Statement, Verdict } from './model.js';

// Expressions

/** A header field by name: `payload('tcp', 'dport')`. */
export const payload = (protocol: string, field: string): Expression => ({ payload: { protocol, field } });

/** A header field of the named protocol: `ip('saddr')`, `tcp('flags')`, `th('dport')`. */
export const ip = (field: string): Expression => payload('ip', field);
export const ip6 = (field: string): Expression => payload('ip6', field);
export const tcp = (field: string): Expression => payload('tcp', field);
export const udp = (field: string): Expression => payload('udp', field);
export const th = (field: string): Expression => payload('th', field);
export const ether = (field: string): Expression => payload('ether', field);

/** Raw bits of a packet, `@nh,128,32`; offset and length in bits. */
export const raw = (base: 'll' | 'nh' | 'th' | 'ih', offset: number, len: number): Expression => ({
  payload: { base, offset, len },
});

export const meta = (key: string): Expression => ({ meta: { key } });

/** `ct(key)`, with a direction `ct original packets`, with a family `ct original ip saddr`. */
export const ct = (key: string, dir?: 'original' | 'reply', family?: 'ip' | 'ip6'): Expression => ({
  ct: { key, ...(dir && { dir }), ...(family && { family }) },
});

/** A route lookup: `fib(['daddr', 'iif'], 'type')`. */
export const fib = (flags: readonly string[], result: 'oif' | 'oifname' | 'type'): Expression => ({
  fib: { flags, result },
});

export const rt = (key: string, family?: 'ip' | 'ip6'): Expression => ({ rt: { key, ...(family && { family }) } });
export const tcpOption = (name: string, field?: string): Expression => ({
  'tcp option': { name, ...(field && { field }) },
});
export const ipOption = (name: string, field?: string): Expression => ({
  'ip option': { name, ...(field && { field }) },
});

/** The named set or map as a value: `@name`. */
export const setRef = (name: string): string => `@${name}`;

/** One of the values; a single value stands for itself. */
export const oneOf = (values: readonly Expression[]): Expression =>
  values.length === 1 && values[0] !== undefined ? values[0] : { set: values };

/** Both ends included; equal ends are the value itself. */
export const range = (first: Expression, last: Expression): Expression =>
  first === last ? first : { range: [first, last] };

export const prefix = (addr: Expression, len: number): Expression => ({ prefix: { addr, len } });

/** `a . b . c`; a single part stands for itself. */
export const concat = (...parts: readonly Expression[]): Expression =>
  parts.length === 1 && parts[0] !== undefined ? parts[0] : { concat: parts };

export const and = (left: Expression, right: Expression): Expression => ({ '&': [left, right] });
/** All bits of the parts: `or('syn', 'ack')` of flags, `or(ct('mark'), 0x1)` of numbers. */
export const or = (left: Expression, right: Expression, ...more: readonly Expression[]): Expression => ({
  '|': [left, right, ...more],
});
export const xor = (left: Expression, right: Expression): Expression => ({ '^': [left, right] });
export const shiftLeft = (left: Expression, bits: number): Expression => ({ '<<': [left, bits] });
export const shiftRight = (left: Expression, bits: number): Expression => ({ '>>': [left, bits] });

/** What `key` maps to, in the named map or in these entries. A miss ends the rule. */
export const lookup = (key: Expression, map: string | readonly (readonly [Expression, Expression])[]): Expression => ({
  map: typeof map === 'string' ? { key, data: setRef(map) } : { key, entries: map },
});

/** A number from 0 to `mod` - 1, counting up or at random. */
export const numgen = (mode: 'inc' | 'random', mod: number, offset?: number): Expression => ({
  numgen: { mode, mod, ...(offset !== undefined && { offset }) },
});

/** A number from 0 to `mod` - 1 that is always the same for the same `expr` (and seed). */
export const jhash = (expr: Expression, mod: number, seed?: number): Expression => ({
  jhash: { expr, mod, ...(seed !== undefined && { seed }) },
});

// Matches

export const match = (left: Expression, right: Expression, op: MatchOperator = '=='): Statement => ({
  match: { op, left, right },
});
export const matchNot = (left: Expression, right: Expression): Statement => match(left, right, '!=');

/** True when any of the named bits is set: `ct status dnat`, `ct state established,related`. */
export const matchAny = (left: Expression, names: readonly string[]): Statement => match(left, { set: names }, 'in');

/** True when the bits under `mask` are `value`: `ct mark & 0x200 == 0x200`. */
export const matchBits = (left: Expression, mask: Expression, value: Expression, op: '==' | '!=' = '=='): Statement =>
  match(and(left, mask), value, op);

// Verdicts

export const accept: Verdict = { accept: null };
export const drop: Verdict = { drop: null };
export const returnVerdict: Verdict = { return: null };
export const continueVerdict: Verdict = { continue: null };
export const jump = (target: string): Verdict => ({ jump: { target } });
export const goto = (target: string): Verdict => ({ goto: { target } });

/** Dispatch by a named verdict map, or by these entries. */
export const vmap = (key: Expression, map: string | readonly (readonly [Expression, Verdict])[]): Statement => ({
  vmap: typeof map === 'string' ? { key, data: setRef(map) } : { key, entries: map },
});

// Counting and limiting

/** A named counter, or an anonymous one, which a reload sets to zero. */
export const counter = (name?: string): Statement => ({ counter: name ?? null });

/** A named quota, or one of the rule's own, which a reload fills again. */
export const quota = (quota: string | QuotaSpec): Statement => ({ quota });

/** The quota that `key` maps to in the named map; it can be exchanged in one transaction. */
export const quotaByMap = (key: Expression, map: string): Statement => ({ quota: { map: { key, data: setRef(map) } } });

export const limit = (limit: string | Limit): Statement => ({ limit });

/** True while at most `val` connections are open (`over`: beyond). Only on the first packet of a connection. */
export const ctCount = (val: number, over = false): Statement => ({ 'ct count': { val, ...(over && { inv: true }) } });

// Sets

export interface UpdateOptions {
  readonly timeoutMs?: number;
  /** Evaluated on the element: counter, limit, quota, ct count. */
  readonly stmt?: readonly Statement[];
}

/** Adds the packet's element; an element that is there keeps its timeout. */
export const addTo = (set: string, elem: Expression, options: UpdateOptions = {}): Statement => ({
  set: { op: 'add', set: setRef(set), elem, ...options },
});
/** Adds the packet's element or starts its timeout again. */
export const update = (set: string, elem: Expression, options: UpdateOptions = {}): Statement => ({
  set: { op: 'update', set: setRef(set), elem, ...options },
});
/** Deletes the packet's element; no error when it isn't there. */
export const deleteFrom = (set: string, elem: Expression): Statement => ({
  set: { op: 'delete', set: setRef(set), elem },
});
export const updateMap = (map: string, elem: Expression, data: Expression, timeoutMs?: number): Statement => ({
  map: { op: 'update', map: setRef(map), elem, data, ...(timeoutMs !== undefined && { timeoutMs }) },
});

// Changing the packet or what is known of it

/** `KEY set VALUE`, for header fields, raw bits, meta and ct keys. */
export const mangle = (key: Expression, value: Expression): Statement => ({ mangle: { key, value } });

/** Sets the bits of `value` in the packet's or the connection's mark and keeps the others. */
export const setMarkBits = (of: 'meta' | 'ct', mask: number, value: number): Statement => {
  const mark = of === 'meta' ? meta('mark') : ct('mark');
  const kept = ~mask >>> 0;
  if (kept === 0) return mangle(mark, value);
  return mangle(mark, value === mask ? or(mark, value) : value === 0 ? and(mark, kept) : or(and(mark, kept), value));
};

export const snat = (to: NatTarget): Statement => ({ snat: to });
export const dnat = (to: NatTarget): Statement => ({ dnat: to });
export const masquerade = (to: NatTarget = {}): Statement => ({ masquerade: to });
export const redirect = (to: NatTarget = {}): Statement => ({ redirect: to });

export const notrack: Statement = { notrack: null };
export const ctHelper = (name: string): Statement => ({ 'ct helper': name });
export const ctTimeout = (name: string): Statement => ({ 'ct timeout': name });
export const resetTcpOption = (name: string): Statement => ({ 'reset tcp option': name });

// Answering and sending elsewhere

export const rejectTcpReset: Statement = { reject: { type: 'tcp reset' } };
/** `icmpx` answers in the packet's own family. */
export const reject = (type: 'icmp' | 'icmpv6' | 'icmpx', expr: string): Statement => ({ reject: { type, expr } });
export const log = (options: Extract<Statement, { log: unknown }>['log']): Statement => ({ log: options });
export const fwd = (dev: Expression): Statement => ({ fwd: { dev } });
export const dup = (addr: Expression, dev?: Expression): Statement => ({
  dup: { addr, ...(dev !== undefined && { dev }) },
});
export const synproxy = (options: Extract<Statement, { synproxy: unknown }>['synproxy']): Statement => ({
  synproxy: options,
});

// Rules

/** A rule that no policy line caused. */
export const rule = (...statements: readonly Statement[]): Rule => ({ statements });
