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
import type { Draft, Store } from '../store/store.js';
import type { KnockRecord } from '../wire/pknock-proc.js';
import type { Clock } from './clock.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
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

/** What is kept of a grant beside the kernel's element. */
interface Kept {
  readonly by: KnockMeans;
  readonly client?: string;
  readonly at: number;
  readonly until?: number;
}

export class LiveKnocks implements Knocks {
  #knocks = new Map<string, LiveKnock>();
  /** Without a store, in its place. */
  readonly #memory = new Map<string, Kept>();

  constructor(private readonly options: LiveKnocksOptions) {}

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
    const kept = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const fresh = this.#fresh(live, as);
      await this.#commit(knock, address, fresh, [
        additionOf(live, address, fresh.until === undefined ? undefined : fresh.until - fresh.at),
      ]);
      return fresh;
    });
    this.#tell(knock, address, kept);
    return { knock, address, ...kept };
  }

  async noticed(knock: string, address: Address): Promise<void> {
    const kept = this.#fresh(this.#known(knock), { by: 'sequence' });
    await this.#commit(knock, address, kept, []);
    this.#tell(knock, address, kept);
  }

  async revoke(knock: string, address: Address, source: Source): Promise<boolean> {
    const was = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const set = setOf(live, address);
      const key = addressBytes(address);
      if ((await this.options.kernel.get(set, { key })) === undefined) return false;
      await this.#commit(knock, address, undefined, [{ op: 'delete', set, key }], source);
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
      const changes = [...this.#allKept()].flatMap(([key, { until }]) => {
        const [name, text] = key.split(' ') as [string, string];
        const live = this.#knocks.get(name);
        if (live === undefined || present.has(key) || (until !== undefined && until <= now)) return [];
        return [additionOf(live, parseAddress(text), until === undefined ? undefined : until - now)];
      });
      if (changes.length > 0) await this.options.committer.commit([], changes);
    });
  }

  #known(knock: string): LiveKnock {
    const live = this.#knocks.get(knock);
    if (live === undefined) throw new PosternError('not-found', `no knock '${knock}' in the policy`);
    return live;
  }

  #fresh({ spec }: LiveKnock, { by, client, durationMs = Number.POSITIVE_INFINITY }: GrantAs): Kept {
    const at = this.options.clock.wall();
    const lasts = Math.min(durationMs, spec.autoclose ?? Number.POSITIVE_INFINITY);
    const who = client === undefined ? {} : { client };
    return { by, ...who, at, ...(lasts !== Number.POSITIVE_INFINITY && { until: at + lasts }) };
  }

  #grantOf(knock: string, { key, expiresMs }: ElementState): Grant {
    const address = addressFromBytes(key);
    const kept = this.#kept(keyOf(knock, address));
    const until = expiresMs === undefined ? {} : { until: this.options.clock.wall() + expiresMs };
    const { by = 'sequence', at, client } = kept ?? {};
    return { knock, address, by, ...(client !== undefined && { client }), ...(at !== undefined && { at }), ...until };
  }

  #kept(key: string): Kept | undefined {
    const { store } = this.options;
    return store === undefined ? this.#memory.get(key) : (store.value('knock', key) as unknown as Kept | undefined);
  }

  #allKept(): Iterable<readonly [string, Kept]> {
    const { store } = this.options;
    return store === undefined
      ? this.#memory
      : (store.values('knock') as Iterable<readonly [string, unknown]> as Iterable<readonly [string, Kept]>);
  }

  async #commit(
    knock: string,
    address: Address,
    kept: Kept | undefined,
    elements: readonly ElementChange[],
    source: Source = { kind: 'knock', id: formatAddress(address) },
  ): Promise<void> {
    const key = keyOf(knock, address);
    const draft: Draft = {
      kind: 'value',
      space: 'knock',
      key,
      ...(kept !== undefined && { value: { ...kept } }),
      ...(kept?.until !== undefined && { expiresAt: kept.until }),
      origin: source,
    };
    await this.options.committer.commit([draft], elements);
    if (this.options.store !== undefined) return;
    this.#forgetExpired();
    if (kept === undefined) this.#memory.delete(key);
    else this.#memory.set(key, kept);
  }

  #forgetExpired(): void {
    const now = this.options.clock.wall();
    for (const [key, { until }] of this.#memory) if (until !== undefined && until <= now) this.#memory.delete(key);
  }

  #tell(knock: string, address: Address, { by, client, until }: Kept): void {
    const when = { ...(client !== undefined && { client }), ...(until !== undefined && { until }) };
    this.options.events.emit('knock', { what: 'granted', knock, address: formatAddress(address), by, ...when });
  }
}

/** Names have no blanks. */
const keyOf = (knock: string, address: Address): string => `${knock} ${formatAddress(address)}`;

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
