/**
 * Quotas of the policy. The kernel's objects say what is left; what nft has no object for is followed here. The store has
 * what was left lately, for the next boot, and how the objects stand that a load must not change.
 */

import type { EventEmitter } from 'node:events';
import type { Manifest, Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { mostInQuota, type QuotaDuty } from '../extensions/quota-names.js';
import { fittingLengths, isExact } from '../extensions/quota2.js';
import type { SetIndex } from '../kernel/kernel.js';
import type { Element, NamedObject } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { Committer } from '../store/committer.js';
import type { Json } from '../store/register.js';
import type { Draft } from '../store/store.js';
import type { Clock } from './clock.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import { KeptValues, type KeptValuesParts } from './kept-values.js';
import { missing } from './missing.js';
import { Periodic } from './periodic.js';
import { setNames } from './policy-tables.js';
import {
  freshLimit,
  heldBy,
  type Kept,
  keptFromJson,
  keptJson,
  keptNow,
  leftObject,
  type QuotaParts,
  quotaDuties,
  quotaParts,
  successor,
} from './quota-parts.js';
import type { QuotaState, Quotas } from './quotas.js';
import { emptyMarks, type QuotaKernel, QuotasInKernel } from './quotas-in-kernel.js';
import type { Source } from './tables.js';

export interface LiveQuotasOptions {
  readonly kernel: QuotaKernel;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
  readonly store: KeptValuesParts['store'];
  /** Loads what is in force once more, with limits as `prepared` says them. */
  readonly reload: () => Promise<void>;
  readonly trouble: (error: unknown) => void;
}

interface LiveQuota {
  readonly name: string;
  readonly duty: QuotaDuty;
  readonly parts: QuotaParts;
  kept: Kept;
}

const followMs = 100;
const saveMs = 10_000;

export class LiveQuotas implements Quotas {
  readonly #inKernel: QuotasInKernel;
  #live = new Map<string, LiveQuota>();
  /** Under the plan that is being loaded. */
  #next = new Map<string, LiveQuota>();
  #parts: ReadonlyMap<string, QuotaParts> = new Map();
  readonly #kept: KeptValues<Json>;
  /** What was kept last. */
  readonly #saved = new Map<string, string>();
  readonly #saving: Periodic;
  #following: Periodic | undefined;

  constructor(private readonly options: LiveQuotasOptions) {
    const { kernel, clock, gate, trouble } = options;
    this.#inKernel = new QuotasInKernel(kernel);
    this.#kept = new KeptValues('quota', (kept): kept is Json => keptFromJson(kept) !== undefined, options);
    this.#saving = new Periodic(clock, saveMs, () => gate.pass(() => this.#save()), trouble);
  }

  start(): void {
    this.#saving.start();
  }

  async stop(): Promise<void> {
    await this.#saving.stop();
    await this.#following?.stop();
    await this.options.gate.pass(() => this.#save()).catch(this.options.trouble);
  }

  /** The manifest of what a process before has left in the kernel. */
  adopt(manifest: Pick<Manifest, 'objects' | 'sets'>): void {
    this.#parts = quotaParts(manifest);
  }

  /** The plan with quotas as they stand: loading it changes nothing of what is left. */
  async prepared<P extends Plan>(plan: P, presence: Presence): Promise<P> {
    const planned = quotaParts(plan.manifest);
    const next = new Map<string, LiveQuota>();
    const objects = new Map<string, (object: NamedObject) => NamedObject>();
    for (const [name, duty] of quotaDuties(plan)) {
      const parts = planned.get(name) ?? {};
      const before = this.#live.get(name)?.kept ?? keptFromJson(this.#kept.get(name)?.value);
      const held = await this.#inKernel.held(this.#parts.get(name) ?? {}, parts, plan.manifest, presence);
      const kept = successor(duty, before, held);
      next.set(name, { name, duty, parts, kept });
      if (parts.left === undefined) continue;
      objects.set(plan.manifest.objects[parts.left]!.name, (object) => leftObject(object, kept, held, before));
    }
    this.#next = next;
    if (objects.size === 0) return plan;
    const change = (object: NamedObject) => objects.get(object.name)?.(object) ?? object;
    const tables = plan.ruleset.tables.map((table) => ({ ...table, objects: table.objects.map(change) }));
    return { ...plan, ruleset: { tables } };
  }

  /** Contents of sets that aren't in the kernel yet; after `prepared`. */
  contents(manifest: Pick<Manifest, 'sets' | 'tables'>, presence: Presence): Contents {
    const paths = setNames(manifest);
    const contents = new Map<string, readonly Element[]>();
    for (const { parts, kept } of this.#next.values()) {
      const fill = (set: SetIndex | undefined, elements: readonly Element[]): void => {
        if (set !== undefined && !presence.sets.has(paths[set]!)) contents.set(paths[set]!, elements);
      };
      fill(parts.empty, emptyMarks(kept.value));
      fill(parts.fits, fittingLengths(kept.value));
    }
    return contents;
  }

  /** The plan that was prepared is in the kernel: its indexes hold. */
  switch(manifest: Pick<Manifest, 'objects' | 'sets'>): void {
    this.#live = this.#next;
    this.#parts = quotaParts(manifest);
    const needed = [...this.#live.values()].some(isFollowed);
    if (needed === (this.#following !== undefined)) return;
    void this.#following?.stop();
    this.#following = undefined;
    if (!needed) return;
    const { clock, gate, trouble } = this.options;
    this.#following = new Periodic(clock, followMs, () => gate.pass(() => this.#follow()), trouble);
    this.#following.start();
  }

  /** For the store: what is kept of quotas that left the policy. */
  forget(): Draft[] {
    return this.#kept.forget((name) => !this.#live.has(name));
  }

  names(): readonly string[] {
    return [...this.#live.keys()];
  }

  list(): Promise<QuotaState[]> {
    return this.options.gate.pass(() => Promise.all([...this.#live.values()].map((quota) => this.#state(quota))));
  }

  get(name: string): Promise<QuotaState> {
    return this.options.gate.pass(() => this.#state(this.#known(name)));
  }

  set(name: string, value: bigint, source: Source): Promise<QuotaState> {
    return this.#change(name, () => value, source);
  }

  add(name: string, amount: bigint, source: Source): Promise<QuotaState> {
    return this.#change(name, (value) => value + amount, source);
  }

  subtract(name: string, amount: bigint, source: Source): Promise<QuotaState> {
    return this.#change(name, (value) => (value > amount ? value - amount : 0n), source);
  }

  reset(name: string, source: Source): Promise<QuotaState> {
    return this.#change(name, (_, { amount }) => amount, source);
  }

  /** Brings what rules look at to what the counters say now; a timer of this class's own does it all the time. */
  follow(): Promise<void> {
    return this.options.gate.pass(() => this.#follow());
  }

  async #change(name: string, to: (value: bigint, kept: Kept) => bigint, source: Source): Promise<QuotaState> {
    const { gate, events } = this.options;
    const reloads = await gate.pass(async () => {
      const quota = this.#known(name);
      const reading = await this.#inKernel.reading(quota.parts);
      const value = to(heldBy(quota.kept, reading), quota.kept);
      if (value < 0n || value > mostInQuota) {
        throw new PosternError('invalid', `quota ${name}: ${value} is no amount; it goes from 0 to ${mostInQuota}`);
      }
      const { grown, charged } = reading;
      const { left } = quota.parts;
      const renews = quota.duty.unit === 'packets' && left !== undefined && value > 0n;
      const limit = renews ? { limit: freshLimit(value, quota.kept.limit) } : {};
      const kept: Kept = { ...quota.kept, value, grown, charged, ...limit };
      const elements = await this.#inKernel.setChanges(quota, value);
      await this.#kept.set(name, keptJson(kept), { source, elements });
      quota.kept = kept;
      this.#saved.set(name, JSON.stringify(keptJson(kept)));
      if (quota.duty.unit === 'bytes' && left !== undefined) await this.#inKernel.allow(left, value, reading);
      return renews;
    });
    if (reloads) await this.options.reload();
    const state = await this.get(name);
    const { unit } = state;
    events.emit('quota', { quota: name, value: Number(state.value), unit, source });
    return state;
  }

  async #follow(): Promise<void> {
    for (const quota of this.#live.values()) {
      if (!isFollowed(quota)) continue;
      const { parts, duty } = quota;
      const reading = await this.#inKernel.reading(parts);
      const value = heldBy(quota.kept, reading);
      if (duty.unit === 'bytes' && duty.grown && parts.left !== undefined && reading.grown !== quota.kept.grown) {
        await this.#inKernel.allow(parts.left, atMost(value), reading);
        quota.kept = { ...quota.kept, grown: reading.grown };
      }
      const changes = await this.#inKernel.setChanges(quota, value);
      if (changes.length > 0) await this.options.committer.commit([], changes);
      // Below nothing there is nothing: what rules add counts from there.
      if (duty.unit === 'packets' && value === 0n) quota.kept = keptNow(quota.kept, reading);
    }
  }

  async #save(): Promise<void> {
    const changed = new Map<string, { readonly value: Json }>();
    for (const quota of this.#live.values()) {
      const kept = keptJson(keptNow(quota.kept, await this.#inKernel.reading(quota.parts)));
      const text = JSON.stringify(kept);
      if (this.#saved.get(quota.name) === text) continue;
      this.#saved.set(quota.name, text);
      changed.set(quota.name, { value: kept });
    }
    if (changed.size > 0) await this.#kept.change(changed);
  }

  async #state({ name, duty, parts, kept }: LiveQuota): Promise<QuotaState> {
    const value = heldBy(kept, await this.#inKernel.reading(parts));
    return { name, unit: duty.unit, value: atMost(value), amount: kept.amount };
  }

  #known(name: string): LiveQuota {
    const quota = this.#live.get(name);
    if (quota !== undefined) return quota;
    throw missing('quota', name, this.names());
  }
}

/** Is there something that rules look at, and that the kernel doesn't bring about itself? */
const isFollowed = ({ duty, parts }: LiveQuota): boolean =>
  parts.fits !== undefined ||
  (duty.unit === 'packets' ? duty.looked || !isExact(duty) : duty.grown && parts.left !== undefined);

const atMost = (value: bigint): bigint => (value < mostInQuota ? value : mostInQuota);
