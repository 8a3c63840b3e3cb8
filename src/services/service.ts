/**
 * What the daemon runs beside the engine: each a small unit with start and stop, made from a section of the policy.
 * The daemon's main thread is in the network namespace that the policy is for before any service is made.
 */

import type { Engine } from '../engine/engine.js';
import type { PacketCopies } from '../kernel/packet-copies.js';
import type { Policy } from '../policy/ast.js';
import type { AuditEvent } from '../store/audit-lines.js';
import type { Store } from '../store/store.js';
import type { MetricFamily } from './metric-family.js';

export interface Log {
  info(message: string, facts?: LogFacts): void;
  warn(message: string, facts?: LogFacts): void;
  error(message: string, facts?: LogFacts): void;
}

/** Further facts of an event, for the JSON form. The message says what people need. */
export type LogFacts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Service {
  /** @throws PosternError when it can't do what the policy asks; nothing is left running then. */
  start(): Promise<void>;
  /** Finishes what it has taken in. */
  stop(): Promise<void>;
  /** One line for `postern status`: `udp 0.0.0.0:56789, tables spammer bruteforce`. */
  status(): string;
  metrics?(): readonly MetricFamily[];
}

export interface ServiceContext {
  readonly engine: Engine;
  /** Absent when the daemon runs without a state directory. */
  readonly store?: Store;
  /** Copies of packets that rules log; absent where there is no packet worker. */
  readonly copies?: PacketCopies;
  /** Writes down what isn't a change of the store; never rejects. */
  readonly audit?: (event: AuditEvent) => Promise<void>;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** How the daemon makes a service. After a reload the service is made anew when its section has changed. */
export interface ServiceKind<Section = unknown> {
  /** In logs, metrics and `postern status`. */
  readonly name: string;
  /** The part of the policy that it is made from; undefined: the policy doesn't ask for it. */
  section(policy: Policy): Section | undefined;
  /** Files that it reads when it starts: a reload starts it anew when one of them was changed. */
  files?(section: Section): readonly string[];
  create(section: Section, context: ServiceContext): Service;
}
