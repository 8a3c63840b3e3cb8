/** What a policy compiles to: the ruleset, an index of what in it is alive, and what the daemon has to do for it. */

import type { Duty, MarkField, ObjectRole, SetRole } from '../extensions/roles.js';
import type { AddressRange, Family } from '../net/address.js';
import type { Origin, Ruleset, TableFamily } from '../nft/model.js';

export type { Duty, MarkField, ObjectRole, SetRole } from '../extensions/roles.js';

export interface ManifestSet {
  readonly table: TableFamily;
  readonly name: string;
  /** nft type names of the key's parts. */
  readonly key: readonly string[];
  /** Of a map: nft type names of the value's parts. */
  readonly data?: readonly string[];
  readonly interval: boolean;
  readonly timeout: boolean;
  readonly counter: boolean;
  readonly size: number;
  /** Digest of type and flags; a set whose shape changed gets a new name. */
  readonly shape: string;
  readonly role: SetRole;
  /** SHA-256 of the `elements` that the policy owns; a load leaves contents alone that are the same already. */
  readonly contents?: string;
}

/**
 * A kernel ipset that holds a table of the policy, for rules of iptables that say `-m set`. Its index in the manifest is
 * its place in the list behind all sets of nf_tables.
 */
export interface ManifestIpset {
  /** What `-m set --match-set` says. */
  readonly name: string;
  readonly type: 'hash:ip' | 'hash:net' | 'hash:ip,port' | 'bitmap:ip';
  readonly family: Family;
  readonly timeout: boolean;
  readonly counters: boolean;
  readonly comment: boolean;
  readonly skbinfo: boolean;
  /** Most elements (`maxelem`); a bitmap has its range. */
  readonly size: number;
  /** Of a bitmap; at most 65,536 addresses. */
  readonly range?: AddressRange;
  /** Of `hash:ip,port`: every address stands there with each of these. */
  readonly ports?: readonly { readonly protocol: number; readonly port: number }[];
  readonly role: SetRole;
}

export interface ManifestObject {
  readonly table: TableFamily;
  readonly kind: 'counter' | 'quota' | 'limit' | 'ct helper' | 'ct timeout';
  readonly name: string;
  readonly role: ObjectRole;
}

export interface ManifestChain {
  readonly table: TableFamily;
  readonly name: string;
  /** `type hook priority devices` of a base chain; see `describeBase`. */
  readonly base?: string;
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
  readonly ipsets?: readonly ManifestIpset[];
  readonly objects: readonly ManifestObject[];
  readonly chains: readonly ManifestChain[];
  /** Mark bits and NFLOG groups that were given out; the next compilation gives out the same ones. */
  readonly marks: readonly MarkField[];
  readonly groups: readonly { readonly owner: string; readonly group: number }[];
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
  /** Of `backend: ipset`: hash:net holds entries as they are, the others single addresses alone. */
  readonly ipset?: ManifestIpset['type'];
  /** What becomes of entries that the kernel holds at a start and that nobody knows of. */
  readonly unknown: 'adopt' | 'remove';
  readonly entries: readonly PlanEntry[];
  readonly origin: Origin;
}

export interface PlanAccount {
  readonly name: string;
  readonly networks: readonly AddressRange[];
  /** Bound on addresses per family and direction. */
  readonly size: number;
  /** The counts survive a restart of the machine. */
  readonly keep: boolean;
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
