/**
 * Grants of knocks. The kernel's sets say who may come in; the store keeps how it came to that, so that a restart of the
 * machine gives each what was left of its time.
 */

import type { EventEmitter } from 'node:events';
import type { Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { knockGranted, knockName } from '../extensions/knock-names.js';
import type { KnockSpec } from '../extensions/pknock.js';
import type { ElementChange, ElementState, Kernel, SetIndex } from '../kernel/kernel.js';
import {
  type Address,
  addressBytes,
  addressFromBytes,
  type Family,
  formatAddress,
  parseAddress,
} from '../net/address.js';
import type { Committer } from '../store/committer.js';
import type { Json } from '../store/register.js';
import type { Store } from '../store/store.js';
import type { KnockRecord } from '../wire/pknock-proc.js';
import type { Clock } from './clock.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import { KeptValues } from './kept-values.js';
import type { Grant, GrantAs, KnockMeans, Knocks } from './knocks.js';
import type { Source } from './tables.js';

export interface LiveKnocksOptions {
  readonly kernel: Pick<Kernel, 'dump' | 'get'>;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
  /** Absent: what is known of grants ends with the process. */
  readonly store: Store | undefined;
}

interface StageSet {
  readonly set: SetIndex;
  /** Knocks that a source in it has done. */
  readonly count: number;
}

/** A knock of the policy that is loaded. */
interface LiveKnock {
  readonly name: string;
  readonly spec: KnockSpec;
  readonly granted: ReadonlyMap<Family, SetIndex>;
  readonly stages: readonly StageSet[];
}

/** What is kept of a grant beside the kernel's element; when it ends is the value's own expiry. */
interface Came {
  readonly [name: string]: Json | undefined;
  readonly by: KnockMeans;
  readonly client?: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export class LiveKnocks implements Knocks {
  #knocks = new Map<string, LiveKnock>();
  readonly #came: KeptValues<Came>;

  constructor(private readonly options: LiveKnocksOptions) {
    this.#came = new KeptValues('knock', isCame, options);
  }

  /** From now on the plan's indexes hold. */
  switch({ duties, manifest }: Pick<Plan, 'duties' | 'manifest'>): void {
    this.#knocks = new Map(
      duties
        .filter(({ kind }) => kind === 'knock')
        .map(({ name, spec }) => [name, liveKnock(name, spec as KnockSpec, manifest)]),
    );
  }

  names(): readonly string[] {
    return [...this.#knocks.keys()];
  }

  async list(knock?: string): Promise<Grant[]> {
    const wanted = knock === undefined ? [...this.#knocks.values()] : [this.#known(knock)];
    const lists = wanted.map(async ({ name, granted }) => {
      const elements = await Promise.all([...granted.values()].map((set) => this.options.kernel.dump(set)));
      return elements.flat().map((element) => this.#grantOf(name, element));
    });
    return (await Promise.all(lists)).flat();
  }

  async has(knock: string, address: Address): Promise<boolean> {
    return this.options.gate.pass(async () => {
      const set = setOf(this.#known(knock), address);
      return (await this.options.kernel.get(set, { key: addressBytes(address) })) !== undefined;
    });
  }

  async records(knock: string): Promise<KnockRecord[]> {
    const { spec, stages, granted } = this.#known(knock);
    const protocol = spec.ports === undefined || spec.protocol === 'udp' ? 'UDP' : 'TCP';
    const { kernel } = this.options;
    const matching = stages.map(async ({ set, count }) =>
      (await kernel.dump(set)).map((element): KnockRecord => {
        const source = addressFromBytes(element.key);
        return { source, protocol, status: 'MATCHING', count, expiresInS: (element.expiresMs ?? 0) / 1000 };
      }),
    );
    const allowed = [...granted.values()].map(async (set) =>
      (await kernel.dump(set)).map(({ key, expiresMs }): KnockRecord => {
        const left = expiresMs === undefined ? {} : { autocloseInS: expiresMs / 1000 };
        const count = spec.ports?.length ?? 1;
        return { source: addressFromBytes(key), protocol, status: 'ALLOWED', count, ...left };
      }),
    );
    return (await Promise.all([...matching, ...allowed])).flat();
  }

  async grant(knock: string, address: Address, as: GrantAs = { by: 'spa' }): Promise<Grant> {
    const grant = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const fresh = this.#fresh(live, address, as);
      const addition = additionOf(live, address, fresh.until === undefined ? undefined : fresh.until - fresh.at);
      await this.#keep(fresh, [addition]);
      return fresh;
    });
    this.#tell(grant);
    return grant;
  }

  async noticed(knock: string, address: Address): Promise<void> {
    const grant = this.#fresh(this.#known(knock), address, { by: 'sequence' });
    await this.#keep(grant, []);
    this.#tell(grant);
  }

  async revoke(knock: string, address: Address, source: Source): Promise<boolean> {
    const was = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const set = setOf(live, address);
      const key = addressBytes(address);
      if ((await this.options.kernel.get(set, { key })) === undefined) return false;
      await this.#came.delete(keyOf(knock, address), { source, elements: [{ op: 'delete', set, key }] });
      return true;
    });
    if (was) {
      this.options.events.emit('knock', { what: 'revoked', knock, address: formatAddress(address), by: source.kind });
    }
    return was;
  }

  /** Gives the kernel what it has lost: after a restart of the machine, or when its sets were emptied. */
  async restore(): Promise<void> {
    await this.options.gate.pass(async () => {
      const now = this.options.clock.wall();
      const present = new Set((await this.list()).map(({ knock, address }) => keyOf(knock, address)));
      const lost = [...this.#came.all()].filter(([key]) => !present.has(key));
      const changes = lost.flatMap(([key, { expiresAt }]) => {
        const { live, address } = this.#placeOf(key);
        if (live === undefined || address === undefined) return [];
        return [additionOf(live, address, expiresAt === undefined ? undefined : expiresAt - now)];
      });
      if (changes.length > 0) await this.options.committer.commit([], changes);
    });
  }

  #placeOf(key: string): { readonly live: LiveKnock | undefined; readonly address: Address | undefined } {
    const [name = '', text = ''] = key.split(' ');
    return { live: this.#knocks.get(name), address: addressOf(text) };
  }

  #known(knock: string): LiveKnock {
    const live = this.#knocks.get(knock);
    if (live === undefined) throw new PosternError('not-found', `no knock '${knock}' in the policy`);
    return live;
  }

  #fresh({ name, spec }: LiveKnock, address: Address, as: GrantAs): Grant & { readonly at: number } {
    const { by, client, durationMs = Number.POSITIVE_INFINITY } = as;
    const at = this.options.clock.wall();
    const lasts = Math.min(durationMs, spec.autoclose ?? Number.POSITIVE_INFINITY);
    const who = client === undefined ? {} : { client };
    const until = lasts === Number.POSITIVE_INFINITY ? {} : { until: at + lasts };
    return { knock: name, address, by, ...who, at, ...until };
  }

  #grantOf(knock: string, { key, expiresMs }: ElementState): Grant {
    const address = addressFromBytes(key);
    const { by = 'sequence', at, client } = this.#came.get(keyOf(knock, address))?.value ?? {};
    const until = expiresMs === undefined ? {} : { until: this.options.clock.wall() + expiresMs };
    return { knock, address, by, ...(client !== undefined && { client }), ...(at !== undefined && { at }), ...until };
  }

  #keep(
    { knock, address, by, client, at, until }: Grant & { readonly at: number },
    elements: readonly ElementChange[],
  ): Promise<void> {
    const came: Came = { by, ...(client !== undefined && { client }), at };
    const source: Source = { kind: 'knock', id: formatAddress(address) };
    return this.#came.set(keyOf(knock, address), came, { expiresAt: until, source, elements });
  }

  #tell({ knock, address, by, client, until }: Grant): void {
    const when = { ...(client !== undefined && { client }), ...(until !== undefined && { until }) };
    this.options.events.emit('knock', { what: 'granted', knock, address: formatAddress(address), by, ...when });
  }
}

const means: readonly string[] = ['sequence', 'spa', 'spa2'] satisfies KnockMeans[];

function isCame(kept: Json): kept is Came {
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept)) return false;
  const { by, client, at } = kept as { readonly [name: string]: Json | undefined };
  const isClient = client === undefined || typeof client === 'string';
  return means.includes(by as string) && isClient && typeof at === 'number';
}

/** Names have no blanks. */
const keyOf = (knock: string, address: Address): string => `${knock} ${formatAddress(address)}`;

/** Undefined: the key came from elsewhere and is none of ours. */
function addressOf(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}

const setOf = ({ granted }: LiveKnock, { family }: Address): SetIndex => granted.get(family)!;

const additionOf = (live: LiveKnock, address: Address, timeoutMs: number | undefined): ElementChange => ({
  op: 'add',
  set: setOf(live, address),
  key: addressBytes(address),
  ...(timeoutMs !== undefined && { timeoutMs }),
});

function liveKnock(name: string, spec: KnockSpec, { sets }: Plan['manifest']): LiveKnock {
  const granted = new Map<Family, SetIndex>();
  const stages: StageSet[] = [];
  for (const [set, { role }] of sets.entries()) {
    if (role.kind !== 'extension' || role.extension !== knockName || role.name !== name) continue;
    const [, stage] = /^stage([0-9]+)$/.exec(role.purpose) ?? [];
    if (role.purpose === knockGranted) granted.set(role.family!, set);
    else if (stage !== undefined) stages.push({ set, count: Number(stage) });
  }
  return { name, spec, granted, stages };
}
