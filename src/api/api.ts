/** What routes stand on. */

import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Engine } from '../engine/engine.js';
import type { ApplyOptions, ApplyResult, PolicyText } from '../engine/policy-control.js';
import type { ChangeCount, Source } from '../engine/tables.js';
import type { Address } from '../net/address.js';
import type { MetricFamily } from '../services/metric-family.js';
import type { Log } from '../services/service.js';
import type { StoreStatus } from '../store/store.js';
import type { ImportCount } from '../store/transfer.js';

interface TypeBoxProvider extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  readonly serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
}

/** A fastify server whose handlers know the types of their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxProvider
>;

export interface ServiceView {
  readonly name: string;
  readonly state: 'running' | 'failed';
  /** What it listens to, or why it doesn't. */
  readonly status: string;
  readonly metrics: readonly MetricFamily[];
}

/** A packet in one line, or as bytes with the interface where it comes in. */
export type WhyPacket = { readonly line: string } | { readonly bytes: Uint8Array; readonly from: string };

/** What the daemon gives the API to speak for. */
export interface ApiParts {
  readonly engine: Engine;
  readonly log: Log;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly startedAt: number;
  /** Applies the policy file as it is now and brings the services to it. */
  reload(options: ApplyOptions): Promise<ApplyResult>;
  /** Tries a packet on a copy of the host, with another policy, or the one in force. */
  why?(packet: WhyPacket, policy?: PolicyText): Promise<object>;
  /** What concerns an address. */
  whyAddress?(address: Address): Promise<object>;
  services(): readonly ServiceView[];
  /** Absent without a state directory. */
  store?(): StoreStatus;
  /** Takes in the lines of an export and brings tables to it. Absent without a state directory. */
  importState?(lines: AsyncIterable<Uint8Array>, who: Source): Promise<ImportCount & { readonly changes: ChangeCount }>;
}

/** A file of routes: adding one is a line in `routes/all.ts`. */
export type Routes = (api: Api, parts: ApiParts) => void;
