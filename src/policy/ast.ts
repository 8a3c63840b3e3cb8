/**
 * The typed policy: what is left of the YAML text once names are known, values are parsed and errors are reported.
 * The grammar is the README's and the schema's; every node knows where it stands.
 */

import type { Address, AddressRange, Family } from '../net/address.js';

/** A place in a policy text; `line` and `column` count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Length of the offending text, for the underline of a diagnostic. */
  readonly length?: number;
}

export interface Located {
  readonly at: Position;
}

/** A list in which plain members mean "one of" and `not` members mean "none of"; only `not` members: anything else. */
export interface Choice<T> {
  readonly any: readonly T[];
  readonly not: readonly T[];
}

/** What may stand in `from`, `to`, and table entries. Hosts and prefixes are ranges, too. */
export type AddressTerm = Located &
  (
    | { readonly kind: 'range'; readonly range: AddressRange }
    | { readonly kind: 'table'; readonly table: string }
    /** `lan:network`, `lan:address`; `interface` is the name as written, `device` what the kernel calls it. */
    | {
        readonly kind: 'interface';
        readonly interface: string;
        readonly device: string;
        readonly part: 'network' | 'address';
      }
    /** Any address of this host. */
    | { readonly kind: 'me' }
  );

export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** A device name as the kernel knows it; `*` at the end means any that begins so. */
export type InterfaceTerm = Located & { readonly device: string; readonly alias?: string };

export interface IcmpTerm {
  /** Type numbers per family; absent where the family has no such message. */
  readonly v4?: { readonly type: number; readonly code?: number };
  readonly v6?: { readonly type: number; readonly code?: number };
  readonly name: string;
}

export interface FlagTest {
  /** TCP flag bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  readonly mask: number;
  readonly value: number;
}

export type ConntrackState = 'new' | 'established' | 'related' | 'invalid' | 'untracked' | 'dnat' | 'snat';

export interface Rate {
  readonly count: number;
  readonly perMs: number;
  /** Packets when absent. */
  readonly unit?: 'packets' | 'bytes';
  readonly burst?: number;
}

export type Match = Located &
  (
    | { readonly word: 'in' | 'out' | 'via'; readonly interfaces: Choice<InterfaceTerm> | 'any' }
    | { readonly word: 'from' | 'to'; readonly addresses: Choice<AddressTerm> | 'any' }
    | { readonly word: 'proto'; readonly protocols: Choice<number> }
    | { readonly word: 'family'; readonly family: Family }
    /** Destination ports; `port` means tcp and udp. */
    | { readonly word: 'tcp' | 'udp' | 'port' | 'sport'; readonly ports: Choice<NumberRange> | 'any' }
    | { readonly word: 'icmp'; readonly types: Choice<IcmpTerm> | 'any' }
    | { readonly word: 'flags'; readonly flags: readonly FlagTest[] | 'any' }
    | { readonly word: 'fragment' | 'short' }
    | { readonly word: 'state'; readonly states: Choice<ConntrackState> }
    | {
        readonly word: 'mark';
        readonly of: 'packet' | 'connection';
        readonly value: number;
        readonly mask: number;
        readonly negated: boolean;
      }
    | { readonly word: 'limit'; readonly rate: Rate; readonly per?: 'source' | 'destination' | 'rule' }
    | { readonly word: 'user' | 'group'; readonly ids: Choice<NumberRange> }
    | { readonly word: 'conns'; readonly count: number; readonly per: 'source' | 'destination' | 'rule' }
    /** A match that an extension brings; `spec` is what its schema describes. */
    | { readonly word: 'extension'; readonly name: string; readonly spec: unknown; readonly negated: boolean }
  );

export type RejectWith = 'default' | 'tcp-reset' | 'port' | 'host' | 'net' | 'admin';

export interface LogSpec {
  readonly name?: string;
  readonly first?: number;
  readonly rate?: Rate;
  /** Bytes of the packet in the copy. */
  readonly body?: number;
  readonly per?: 'source' | 'rule';
}

/** `dnat to ADDR port P`, `redirect to P`, `snat to A-B sticky`, `masquerade port A-B`. */
export interface NatAction {
  readonly to?: AddressRange;
  /** `dnat to <web> round-robin`. */
  readonly table?: string;
  readonly pick?: 'round-robin' | 'random' | 'source-hash';
  readonly port?: NumberRange;
  readonly sticky?: boolean;
}

export type Action = Located &
  (
    | { readonly action: 'accept' | 'drop' | 'block' | 'count' | 'return' | 'notrack' }
    | { readonly action: 'reject'; readonly with: RejectWith }
    | { readonly action: 'jump' | 'goto'; readonly chain: string }
    | { readonly action: 'log'; readonly log: LogSpec }
    | { readonly action: 'mark'; readonly of: 'packet' | 'connection'; readonly value: number; readonly mask: number }
    | ({ readonly action: 'masquerade' | 'snat' | 'dnat' | 'redirect' } & NatAction)
    | { readonly action: 'map'; readonly inside: AddressRange; readonly outside: AddressRange }
    | {
        readonly action: 'add' | 'delete';
        readonly what: 'source' | 'destination';
        readonly table: string;
        /** The table's own timeout when absent. */
        readonly timeoutMs?: number;
      }
    | { readonly action: 'account'; readonly account: string }
    /** A target that an extension brings; `spec` is what its schema describes. */
    | { readonly action: 'extension'; readonly name: string; readonly spec: unknown }
  );

export interface Rule extends Located {
  /** The rule as it stands in the file, for messages and `why`; one line. */
  readonly text: string;
  readonly name?: string;
  readonly matches: readonly Match[];
  /** In the order in which they take effect; a `log` key comes first. */
  readonly actions: readonly Action[];
}

export type BaseChainName = 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

export interface Chain extends Located {
  readonly name: string;
  /** `user`: a chain that is only jumped to. `filter`: written once for input, forward and output. */
  readonly kind: BaseChainName | 'filter' | 'user';
  /** `block` is the policy's `block_policy`. */
  readonly policy?: 'accept' | 'drop' | 'block';
  /** Ingress: the devices. */
  readonly on?: readonly InterfaceTerm[];
  readonly rules: readonly Rule[];
}

export interface TableEntry extends Located {
  readonly range: AddressRange;
  readonly not: boolean;
}

export interface TableDecl extends Located {
  readonly name: string;
  /** Of entries that are added without one; permanent when absent. */
  readonly timeoutMs?: number;
  /** Bound on hosts, and on prefixes, per family. */
  readonly size: number;
  readonly counters: boolean;
  readonly backend: 'nft' | 'ipset';
  /** Of `backend: ipset`. */
  readonly ipset?: IpsetDecl;
  /** What becomes of entries that the kernel holds at a start and that nobody knows of. */
  readonly unknown: 'adopt' | 'remove';
  readonly entries: readonly TableEntry[];
  /** Path of a list, relative to the policy's folder; its entries are in `entries` once it was read. */
  readonly file?: string;
}

/** How a table's ipsets look. */
export interface IpsetDecl {
  readonly type: 'hash:ip' | 'hash:net' | 'hash:ip,port' | 'bitmap:ip';
  readonly comment: boolean;
  readonly skbinfo: boolean;
  /** Of hash:ip,port. */
  readonly ports?: readonly { readonly protocol: number; readonly port: number }[];
  /** Of bitmap:ip. */
  readonly range?: AddressRange;
}

export interface AccountDecl extends Located {
  readonly name: string;
  readonly networks: readonly AddressRange[];
  /** Bound on addresses per family and direction. */
  readonly size: number;
  /** The counts survive a restart of the machine. */
  readonly keep: boolean;
}

export interface Hygiene {
  readonly loopback: boolean;
  readonly neighbor: boolean;
  readonly invalid: boolean;
  readonly badFlags: boolean;
}

export interface PftabledSection extends Located {
  readonly listen: { readonly address: Address; readonly port: number };
  /** Path of the key file; absent: unsigned datagrams are taken. */
  readonly keyFile?: string;
  /** Tables that clients may change; absent with `force`. */
  readonly tables: readonly string[];
  /** Every request goes to this table. */
  readonly force?: string;
  readonly timeoutMs?: number;
}

export interface ApiListener {
  readonly unix?: string;
  readonly tcp?: { readonly address: Address; readonly port: number };
  readonly tokenFile?: string;
}

export interface ApiSection extends Located {
  readonly listen: readonly ApiListener[];
}

/** A top-level section that an extension brings (`quotas`, `conditions`, `knocks` …), one entry a name. */
export interface SectionEntry extends Located {
  readonly name: string;
  readonly spec: unknown;
}

export interface Policy {
  readonly file: string;
  readonly version: 1;
  /** Alias to device name. */
  readonly interfaces: ReadonlyMap<string, InterfaceTerm>;
  readonly tables: ReadonlyMap<string, TableDecl>;
  readonly accounts: ReadonlyMap<string, AccountDecl>;
  readonly chains: ReadonlyMap<string, Chain>;
  readonly nat: readonly Rule[];
  readonly hygiene: Hygiene;
  readonly blockPolicy: 'drop' | 'return';
  /** Flows that a new policy may not cut. */
  readonly mustSurvive: readonly ({ readonly name: string; readonly packet: PacketLine } & Located)[];
  readonly pftabled?: PftabledSection;
  readonly api?: ApiSection;
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, SectionEntry>>;
}

/** A packet in one line, read. */
export interface PacketLine {
  readonly protocol: number;
  /** An alias or a device; undefined: the host's own packet. */
  readonly from?: string;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly ttl?: number;
  readonly tos?: number;
  readonly payload: Uint8Array;
  readonly mark?: number;
  readonly uid?: number;
}
