/** What a policy compiles to: the ruleset, an index of what in it is alive, and what the daemon has to do for it. */

import type { AddressRange, Family } from '../net/address.js';
import type { Origin, Ruleset, TableFamily } from '../nft/model.js';

/** What a set is for. Hot paths find sets by this, never by name. */
export type SetRole =
  /** Hosts of a policy table: hash, timeouts, changed one by one. */
  | { readonly kind: 'table'; readonly tier: 'hosts' | 'prefixes'; readonly table: string; readonly family: Family }
  | {
      readonly kind: 'account';
      readonly account: string;
      readonly direction: 'source' | 'destination';
      readonly family: Family;
    }
  /** Addresses or networks of a device, kept by the link watcher. */
  | {
      readonly kind: 'interface';
      readonly device: string;
      readonly part: 'network' | 'address';
      readonly family: Family;
    }
  /** State that only rules touch, or that an extension's duty keeps. */
  | { readonly kind: 'extension'; readonly extension: string; readonly name: string; readonly purpose: string };

export interface ManifestSet {
  readonly table: TableFamily;
  readonly name: string;
  /** nft type names of the key's parts. */
  readonly key: readonly string[];
  readonly interval: boolean;
  readonly timeout: boolean;
  readonly counter: boolean;
  readonly size: number;
  /** Digest of type and flags; a set whose shape changed gets a new name. */
  readonly shape: string;
  readonly role: SetRole;
}

export type ObjectRole =
  /** Packets that found the account's set full. */
  | { readonly kind: 'account-overflow'; readonly account: string; readonly family: Family }
  /** An account of 0.0.0.0/0 or ::/0: one counter. */
  | { readonly kind: 'account-total'; readonly account: string; readonly family: Family }
  | { readonly kind: 'rule'; readonly name: string; readonly origin: Origin }
  | { readonly kind: 'extension'; readonly extension: string; readonly name: string; readonly purpose: string };

export interface ManifestObject {
  readonly table: TableFamily;
  readonly kind: 'counter' | 'quota' | 'limit' | 'ct helper' | 'ct timeout';
  readonly name: string;
  readonly role: ObjectRole;
}

/** What the daemon does for a rule, as data; `kind` names the service that takes it. */
export interface Duty {
  readonly kind: string;
  readonly name: string;
  readonly nflogGroup?: number;
  readonly spec: unknown;
}

/**
 * Everything that Postern owns in the kernel. A set or object is known by its place in the list (its index),
 * which is what crosses the seam between engine and kernel. Stored with the state, so that the next version of the
 * policy knows what to delete.
 */
export interface Manifest {
  readonly format: 1;
  /** SHA-256 of the rendered ruleset. */
  readonly digest: string;
  readonly tables: readonly { readonly family: TableFamily; readonly name: string }[];
  readonly sets: readonly ManifestSet[];
  readonly objects: readonly ManifestObject[];
  readonly chains: readonly {
    readonly table: TableFamily;
    readonly name: string;
    /** `type hook priority devices` of a base chain. */
    readonly base?: string;
  }[];
}

export interface Note {
  readonly at: Origin;
  readonly message: string;
}

/** An entry that stands in the policy (or in a list that it names). Permanent. */
export interface PlanEntry {
  readonly range: AddressRange;
  readonly not: boolean;
  readonly origin: Origin;
}

/**
 * A table of the policy. Its entries aren't part of the ruleset: the engine flattens them together with the live ones.
 */
export interface PlanTable {
  readonly name: string;
  /** Of entries that are added without one; permanent when absent. */
  readonly timeoutMs?: number;
  /** Bound on hosts, and on prefixes, per family. */
  readonly size: number;
  readonly counters: boolean;
  readonly backend: 'nft' | 'ipset';
  readonly entries: readonly PlanEntry[];
  readonly origin: Origin;
}

export interface PlanAccount {
  readonly name: string;
  readonly networks: readonly AddressRange[];
  /** Bound on addresses per family and direction. */
  readonly size: number;
  readonly origin: Origin;
}

export interface Plan {
  readonly ruleset: Ruleset;
  readonly manifest: Manifest;
  readonly tables: readonly PlanTable[];
  readonly accounts: readonly PlanAccount[];
  readonly duties: readonly Duty[];
  /** Which recipe was chosen where, for `compile --explain`. */
  readonly notes: readonly Note[];
  readonly warnings: readonly Note[];
}
