/**
 * The ruleset in memory. Names and nesting follow libnftables-json(5), so that whoever knows `nft -j list ruleset`
 * can read it; what JSON of nft 1.0.6 can't carry (typeof, sub-second timeouts, dynamic) is added.
 * Loads are rendered from it as text, never as JSON.
 */

export type TableFamily = 'inet' | 'ip' | 'ip6' | 'netdev' | 'bridge' | 'arp';
export type Hook = 'ingress' | 'egress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
export type ChainType = 'filter' | 'nat' | 'route';
export type ChainPolicy = 'accept' | 'drop';

/** Where in a policy a generated object comes from. `line` and `column` count from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A value position: literals ('22', 22, '@set'), ranges, sets, and what reads from the packet or its state. */
export type Expression =
  | string
  | number
  | boolean
  | { readonly payload: { readonly protocol: string; readonly field: string } }
  | { readonly payload: { readonly base: 'll' | 'nh' | 'th' | 'ih'; readonly offset: number; readonly len: number } }
  | { readonly meta: { readonly key: string } }
  | { readonly ct: { readonly key: string; readonly dir?: 'original' | 'reply'; readonly family?: 'ip' | 'ip6' } }
  | { readonly fib: { readonly flags: readonly string[]; readonly result: 'oif' | 'oifname' | 'type' } }
  | { readonly rt: { readonly key: string; readonly family?: 'ip' | 'ip6' } }
  | { readonly socket: { readonly key: string } }
  | { readonly exthdr: { readonly name: string; readonly field?: string; readonly offset?: number } }
  | { readonly 'ip option': { readonly name: string; readonly field?: string } }
  | { readonly 'tcp option': { readonly name: string; readonly field?: string } }
  | { readonly set: readonly Expression[] }
  | { readonly range: readonly [Expression, Expression] }
  | { readonly prefix: { readonly addr: Expression; readonly len: number } }
  | { readonly concat: readonly Expression[] }
  | { readonly '&': readonly [Expression, Expression, ...Expression[]] }
  | { readonly '|': readonly [Expression, Expression, ...Expression[]] }
  | { readonly '^': readonly [Expression, Expression, ...Expression[]] }
  | { readonly '<<': readonly [Expression, Expression] }
  | { readonly '>>': readonly [Expression, Expression] }
  /** `data`: '@name' of a map. */
  | { readonly map: { readonly key: Expression; readonly data: string } | AnonymousMap }
  | { readonly numgen: { readonly mode: 'inc' | 'random'; readonly mod: number; readonly offset?: number } }
  | {
      readonly jhash: {
        readonly expr: Expression;
        readonly mod: number;
        readonly seed?: number;
        readonly offset?: number;
      };
    };

export type MatchOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in';

export interface Limit {
  readonly rate: number;
  readonly per: 'second' | 'minute' | 'hour' | 'day' | 'week';
  /** Unit of rate and burst; packets when absent. */
  readonly unit?: 'packets' | 'bytes' | 'kbytes' | 'mbytes';
  readonly burst?: number;
  /** `limit rate over`: true beyond the rate instead of within it. */
  readonly inv?: boolean;
}

export interface QuotaSpec {
  readonly bytes: number;
  readonly used?: number;
  /** `over`: true once used up, instead of while it fits. */
  readonly inv?: boolean;
}

/** An element as it stands in a `set` statement or in a set's contents. */
export interface Element {
  readonly value: Expression;
  /** For maps: what the value maps to; a verdict map takes a `Verdict`. */
  readonly data?: Expression | Verdict;
  readonly timeoutMs?: number;
  /** Time left; as long as `timeoutMs` when absent. */
  readonly expiresMs?: number;
  readonly comment?: string;
  readonly counter?: { readonly packets: bigint; readonly bytes: bigint };
}

export type Verdict =
  | { readonly accept: null }
  | { readonly drop: null }
  | { readonly continue: null }
  | { readonly return: null }
  | { readonly jump: { readonly target: string } }
  | { readonly goto: { readonly target: string } };

export interface NatTarget {
  readonly family?: 'ip' | 'ip6';
  readonly addr?: Expression;
  readonly port?: Expression;
  readonly flags?: readonly ('random' | 'fully-random' | 'persistent')[];
  /** `snat ip prefix to …`: addresses are mapped one to one. */
  readonly prefix?: boolean;
}

export type Statement =
  | Verdict
  | { readonly match: { readonly op: MatchOperator; readonly left: Expression; readonly right: Expression } }
  /** null: an anonymous counter; a string: a named one. */
  | { readonly counter: null | string }
  | { readonly quota: string | QuotaSpec | { readonly map: { readonly key: Expression; readonly data: string } } }
  | { readonly limit: string | Limit }
  | { readonly 'ct count': { readonly val: number; readonly inv?: boolean } }
  | { readonly mangle: { readonly key: Expression; readonly value: Expression } }
  | { readonly snat: NatTarget }
  | { readonly dnat: NatTarget }
  | { readonly masquerade: NatTarget }
  | { readonly redirect: NatTarget }
  | { readonly reject: { readonly type: 'tcp reset' | 'icmp' | 'icmpv6' | 'icmpx'; readonly expr?: string } }
  | {
      /** `stmt` are evaluated on the element: counter, limit, quota, ct count. */
      readonly set: {
        readonly op: 'add' | 'update' | 'delete';
        readonly set: string;
        readonly elem: Expression;
        readonly timeoutMs?: number;
        readonly stmt?: readonly Statement[];
      };
    }
  | {
      readonly map: {
        readonly op: 'add' | 'update' | 'delete';
        readonly map: string;
        readonly elem: Expression;
        readonly data: Expression;
        readonly timeoutMs?: number;
      };
    }
  /** `data`: '@name' of a verdict map. */
  | { readonly vmap: { readonly key: Expression; readonly data: string } | VerdictMap }
  | {
      readonly log: {
        readonly group?: number;
        readonly prefix?: string;
        readonly snaplen?: number;
        readonly queueThreshold?: number;
        /** Without a group: the kernel log. */
        readonly level?: 'emerg' | 'alert' | 'crit' | 'err' | 'warn' | 'notice' | 'info' | 'debug';
      };
    }
  | { readonly fwd: { readonly dev: Expression; readonly family?: 'ip' | 'ip6'; readonly addr?: Expression } }
  | { readonly dup: { readonly addr?: Expression; readonly dev?: Expression } }
  | { readonly notrack: null }
  | { readonly 'ct helper': string }
  | { readonly 'ct timeout': string }
  | { readonly synproxy: { readonly mss?: number; readonly wscale?: number; readonly flags?: readonly string[] } }
  | { readonly 'reset tcp option': string };

/** An anonymous map, `ip saddr map { 10.0.0.1 : 80, … }`. */
export interface AnonymousMap {
  readonly key: Expression;
  readonly entries: readonly (readonly [Expression, Expression])[];
}

/** An anonymous verdict map, `tcp dport vmap { 22 : jump a, … }`. */
export interface VerdictMap {
  readonly key: Expression;
  readonly entries: readonly (readonly [Expression, Verdict])[];
}

export interface Rule {
  readonly statements: readonly Statement[];
  /** At most 128 bytes, no `"`. */
  readonly comment?: string;
  readonly origin?: Origin;
}

export interface BaseChain {
  readonly type: ChainType;
  readonly hook: Hook;
  readonly priority: number;
  readonly policy?: ChainPolicy;
  /** netdev family, or inet ingress: the devices it is hooked to. */
  readonly devices?: readonly string[];
}

export interface Chain {
  readonly name: string;
  /** Absent for a chain that is only jumped to. */
  readonly base?: BaseChain;
  readonly rules: readonly Rule[];
  readonly comment?: string;
}

export type SetFlag = 'constant' | 'dynamic' | 'interval' | 'timeout';

/** The key (or data) type: nft type names, concatenated; or `typeof` with expressions. */
export type SetType =
  | { readonly type: readonly string[] }
  | {
      readonly typeof: readonly Expression[] /** as `type` names; the kernel and the fake need lengths */;
      readonly of?: readonly string[];
    };

/** A named set, or a map when `data` is there. */
export interface NftSet {
  readonly name: string;
  readonly key: SetType;
  /** A map's value type; `verdict`, `counter`, `quota` … for verdict and object maps. */
  readonly data?: SetType;
  readonly flags: readonly SetFlag[];
  readonly size?: number;
  /** Default timeout of elements. */
  readonly timeoutMs?: number;
  readonly gcIntervalMs?: number;
  /** Every element carries a counter. */
  readonly counter?: boolean;
  readonly comment?: string;
  /** Contents that the policy owns; they are rewritten by a load. Absent: contents are left alone. */
  readonly elements?: readonly Element[];
  /** Contents of a set that is new, where whoever loads it knows of no others. */
  readonly initial?: readonly Element[];
  readonly origin?: Origin;
}

export type NamedObject = { readonly name: string; readonly comment?: string; readonly origin?: Origin } & (
  | { readonly kind: 'counter' }
  | ({ readonly kind: 'quota' } & QuotaSpec)
  | ({ readonly kind: 'limit' } & Limit)
  | { readonly kind: 'ct helper'; readonly type: string; readonly protocol: 'tcp' | 'udp'; readonly l3proto?: string }
  | {
      readonly kind: 'ct timeout';
      readonly protocol: 'tcp' | 'udp';
      readonly l3proto?: string;
      readonly policy: Readonly<Record<string, number>>;
    }
);

export interface Table {
  readonly family: TableFamily;
  readonly name: string;
  readonly objects: readonly NamedObject[];
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
}

/** All of our tables. */
export interface Ruleset {
  readonly tables: readonly Table[];
}
