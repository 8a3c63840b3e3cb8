/**
 * What the daemon, the API, the CLI and the services work with: tables, accounts and the policy over one kernel.
 * It keeps the kernel as the policy and the live entries say, and tells what happens.
 */

import type { EventEmitter } from 'node:events';
import type { Kernel } from '../kernel/kernel.js';
import type { Family } from '../net/address.js';
import type { Accounts } from './accounts.js';
import type { ConditionEvent, Conditions } from './conditions.js';
import type { KnockEvent, Knocks } from './knocks.js';
import type { PolicyControl, PolicyDiff } from './policy-control.js';
import type { QuotaEvent, Quotas } from './quotas.js';
import type { Scans } from './scans.js';
import type { ChangeCount, Source, Tables } from './tables.js';

/** What `events` emits: name to arguments. */
export interface EngineEvents {
  /** Entries were changed by a source, or have expired (`deleted` counts them; the source is then absent). */
  table: [{ readonly table: string; readonly source?: Source; readonly count: ChangeCount }];
  policy: [{ readonly what: 'applied' | 'confirmed' | 'rolled-back'; readonly diff: PolicyDiff }];
  /** Someone else changed what is ours. */
  drift: [
    {
      readonly what: 'found' | 'repaired' | 'failed';
      /** What was missing, foreign or different, for people. */
      readonly detail: string;
      /** From the first sign until it was repaired. */
      readonly repairMs?: number;
    },
  ];
  /** Somebody was let in by a knock, or is no longer. */
  knock: [KnockEvent];
  condition: [ConditionEvent];
  /** A detector of scans has found a source. */
  scan: [{ readonly detector: string; readonly address: string }];
  /** Somebody gave a quota another value; what packets take isn't told of. */
  quota: [QuotaEvent];
  /** At the start the kernel held entries that nobody knew of. */
  unknown: [UnknownEntries];
  /** The wall clock was stepped by so many ms; what is left of entries stayed as it was. */
  clock: [{ readonly stepMs: number }];
  /** Something failed in the background; the engine goes on. */
  trouble: [{ readonly error: Error }];
}

export interface UnknownEntries {
  readonly table: string;
  readonly count: number;
  /** Some of them. */
  readonly examples: readonly string[];
  readonly what: 'adopted' | 'removed';
}

/** Fill of one kernel set of a table. */
export interface TableFill {
  readonly table: string;
  readonly tier: 'hosts' | 'prefixes';
  readonly family: Family;
  readonly elements: number;
  readonly size: number;
}

export interface EngineMetrics {
  readonly fills: readonly TableFill[];
  /** Entries added, changed, deleted, by table and kind of source. */
  readonly changes: readonly {
    readonly table: string;
    readonly source: Source['kind'];
    readonly op: 'add' | 'change' | 'delete';
    readonly count: number;
  }[];
  /** Entries that have expired, by table. */
  readonly expired: readonly { readonly table: string; readonly count: number }[];
  /** Packets whose address a rule could not add, because the table was full. */
  readonly overflows: readonly { readonly table: string; readonly family: Family; readonly packets: bigint }[];
  /** Requests that found a table full, by table. */
  readonly full: readonly { readonly table: string; readonly count: number }[];
  readonly drift: {
    readonly found: number;
    readonly repaired: number;
    readonly failed: number;
    /** Of all repairs together. */
    readonly repairMs: number;
  };
  /** Devices that traps at ingress are for, and that are not there. */
  readonly missingDevices: readonly string[];
  readonly policy: {
    readonly applied: number;
    readonly failed: number;
    readonly rolledBack: number;
    /** Milliseconds since the epoch. */
    readonly appliedAt?: number;
  };
}

export interface Engine {
  readonly tables: Tables;
  readonly accounts: Accounts;
  readonly knocks: Knocks;
  readonly conditions: Conditions;
  readonly scans: Scans;
  readonly quotas: Quotas;
  readonly policy: PolicyControl;
  readonly events: EventEmitter<EngineEvents>;
  /** What the kernel held at the start and nobody knew of: for those who come too late for the events. */
  readonly unknown: readonly UnknownEntries[];
  /** Sets bits of a connection's mark. @throws PosternError `not-found` when there is no such connection (any more). */
  markConnection: Kernel['markConnection'];
  metrics(): Promise<EngineMetrics>;
  /** Brings tables to what the store says, after records came into it from elsewhere. Nothing without a store. */
  takeFromStore(): Promise<ChangeCount>;
  /**
   * Takes over what is in the kernel, then applies the policy file; nothing in the kernel is lost.
   * @throws PosternError `policy`, `kernel`, `system`.
   */
  start(): Promise<void>;
  /** Finishes what was asked for and leaves the kernel as it is. */
  stop(): Promise<void>;
}
