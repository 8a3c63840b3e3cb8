/** What generated objects are for, and what the daemon does for them: the daemon finds both by this, never by name. */

import type { Family } from '../net/address.js';
import type { Origin } from '../nft/model.js';

/** What a set is for. */
export type SetRole =
  /** A policy table. Hosts: hash, timeouts, changed one by one. Prefixes: intervals, flattened by the engine. */
  | {
      readonly kind: 'table';
      readonly tier: 'hosts' | 'prefixes';
      readonly table: string;
      readonly family: Family;
      /** Prefixes of a large table are spread over several sets, from 0: see net/shards.ts. */
      readonly shard?: number;
    }
  | {
      readonly kind: 'account';
      readonly account: string;
      readonly direction: 'source' | 'destination';
      readonly family: Family;
      /** A large account is spread over several sets, from 0; an address is in one of them. */
      readonly shard?: number;
    }
  /** Addresses or networks of a device, kept by the link watcher. */
  | {
      readonly kind: 'interface';
      readonly device: string;
      readonly part: 'network' | 'address';
      readonly family: Family;
    }
  /** The MAC of each device that answers at ingress, kept by the link watcher: a map from its name. */
  | { readonly kind: 'device-macs'; readonly devices: readonly string[] }
  /**
   * Devices whose flags (ifi_flags) under `mask` are `value`, by name, kept by the link watcher; with `device`, whether that
   * one is so: then both families are in the set, or nothing.
   */
  | { readonly kind: 'device-flags'; readonly mask: number; readonly value: number; readonly device?: string }
  /**
   * The ranges of these countries together; in the order of their codes. With `known`, addresses that were found to be
   * inside or outside of them, which rules keep themselves.
   */
  | {
      readonly kind: 'countries';
      readonly countries: readonly string[];
      readonly family: Family;
      readonly known?: 'inside' | 'outside';
    }
  /** What a rule remembers, by the rule's id: `flush` of a log's set lets it speak again. */
  | { readonly kind: 'rule'; readonly rule: string; readonly word: 'log' | 'limit' | 'conns'; readonly family?: Family }
  /** State of an extension's own. */
  | {
      readonly kind: 'extension';
      readonly extension: string;
      readonly name: string;
      readonly purpose: string;
      readonly family?: Family;
    };

export type ObjectRole =
  /** Packets that found a set full, by the set's role. */
  | { readonly kind: 'overflow'; readonly of: SetRole }
  /** An account of 0.0.0.0/0 or ::/0: one counter. */
  | { readonly kind: 'account-total'; readonly account: string; readonly family: Family }
  /** Tokens of a rule's `limit`. */
  | { readonly kind: 'limit'; readonly rule: string }
  /** Packets that a rule of the policy took; `rule` is its id. */
  | {
      readonly kind: 'rule';
      readonly rule: string;
      readonly chain: string;
      /** The rule as it stands in the policy. */
      readonly text: string;
      readonly origin: Origin;
    }
  | { readonly kind: 'extension'; readonly extension: string; readonly name: string; readonly purpose: string };

/** What the daemon does for a rule or a section, as data; `kind` names the service that takes it. */
export interface Duty {
  readonly kind: string;
  readonly name: string;
  /** The group in which the packets that it thinks about arrive as copies. */
  readonly nflogGroup?: number;
  readonly spec: unknown;
}

/** Bits of the packet's or the connection's mark that belong to one owner. */
export interface MarkField {
  readonly of: 'packet' | 'connection';
  readonly owner: string;
  readonly shift: number;
  readonly bits: number;
  /** All bits of the field. */
  readonly mask: number;
}
