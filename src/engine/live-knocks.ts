/**
 * Grants of knocks. The kernel's sets say who may come in; the store keeps how it came to that, so that a restart of the
 * machine gives each what was left of its time.
 */

import type { EventEmitter } from 'node:events';
import type { Plan } from '../compiler/plan.js';
import type { KnockSpec } from '../extensions/knock-spec.js';
import type { ElementChange, Kernel } from '../kernel/kernel.js';
import { type Address, addressBytes, addressFromBytes, type Prefix } from '../net/address.js';
import { formatPrefix, hostPrefix, isHost } from '../net/prefix.js';
import type { Committer } from '../store/committer.js';
import type { Store } from '../store/store.js';
import type { KnockRecord } from '../wire/pknock-proc.js';
import type { Clock } from './clock.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import { KnockEnds } from './knock-ends.js';
import { KnockNotes, noteKey } from './knock-notes.js';
import { elementsOf, type GrantElement, grantOf, type LiveKnock, liveKnock, mayHold, portSets } from './knock-sets.js';
import { type DoorPort, formatDoorPort, type Grant, type GrantAs, type Knocks } from './knocks.js';
import { missing } from './missing.js';
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

export class LiveKnocks implements Knocks {
  #knocks = new Map<string, LiveKnock>();
  readonly #notes: KnockNotes;
  readonly #ends: KnockEnds<Grant>;

  constructor(private readonly options: LiveKnocksOptions) {
    this.#notes = new KnockNotes(options);
    this.#ends = new KnockEnds(options.clock, (grant) => this.#tell('expired', grant));
  }

  /** From now on the plan's indexes hold. */
  switch({ duties, manifest }: Pick<Plan, 'duties' | 'manifest'>): void {
    this.#knocks = new Map(
      duties
        .filter(({ kind }) => kind === 'knock')
        .map(({ name, spec }) => [name, liveKnock(name, spec as KnockSpec, manifest)]),
    );
    this.#ends.keep(({ knock }) => this.#knocks.has(knock));
  }

  stop(): void {
    this.#ends.stop();
  }

  names(): readonly string[] {
    return [...this.#knocks.keys()];
  }

  async list(knock?: string): Promise<Grant[]> {
    const wanted = knock === undefined ? [...this.#knocks.values()] : [this.#known(knock)];
    return (await Promise.all(wanted.map((live) => this.#listOf(live)))).flat();
  }

  async find(knock: string, source: Prefix): Promise<Grant | undefined> {
    return this.options.gate.pass(() => this.#find(this.#known(knock), source));
  }

  async records(knock: string): Promise<KnockRecord[]> {
    const live = this.#known(knock);
    const { spec, stages } = live;
    const protocol = spec.ports === undefined || spec.protocol !== 'tcp' ? 'UDP' : 'TCP';
    const matching = stages.map(async ({ set, count }) =>
      (await this.options.kernel.dump(set)).map((element): KnockRecord => {
        const source = hostPrefix(addressFromBytes(element.key));
        return { source, protocol, status: 'MATCHING', count, expiresInS: (element.expiresMs ?? 0) / 1000 };
      }),
    );
    const now = this.options.clock.wall();
    const allowed = (await this.#listOf(live)).map(({ source, until }): KnockRecord => {
      const left = until === undefined ? {} : { autocloseInS: (until - now) / 1000 };
      return { source, protocol, status: 'ALLOWED', count: spec.ports?.length ?? 1, ...left };
    });
    return [...(await Promise.all(matching)).flat(), ...allowed];
  }

  async grant(knock: string, source: Prefix, as: GrantAs = { by: 'spa' }): Promise<Grant> {
    const grant = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const leftMs = shortest(as.durationMs, live.spec.autoclose);
      const elements = await this.#longer(elementsOf(live, source, as.ports), leftMs);
      const merged = this.#merged(await this.#find(live, source), this.#fresh(knock, source, as, leftMs));
      const additions = elements.map((element): ElementChange => {
        return { op: 'add', ...element, ...(leftMs !== undefined && { timeoutMs: leftMs }) };
      });
      await this.#keep(merged, additions);
      return merged;
    });
    this.#tell('granted', grant);
    await this.#know(grant);
    return grant;
  }

  /** A convenience: when there is no place for it, nothing is lost. */
  async #know({ knock, source }: Grant): Promise<void> {
    const set = this.#knocks.get(knock)?.known.get(source.family);
    if (set === undefined || !isHost(source)) return;
    const change: ElementChange = { op: 'add', set, key: addressBytes(source), timeoutMs: knownMs };
    await this.options.committer.commit([], [change]).catch(() => {});
  }

  async noticed(knock: string, address: Address): Promise<void> {
    const { spec } = this.#known(knock);
    const grant = this.#fresh(knock, hostPrefix(address), { by: 'sequence' }, spec.autoclose);
    await this.#keep(grant, []);
    this.#tell('granted', grant);
  }

  async revoke(knock: string, source: Prefix, by: Source): Promise<boolean> {
    const was = await this.options.gate.pass(async () => {
      const live = this.#known(knock);
      const elements = mayHold(live, source) ? await this.#present(live, source) : [];
      if (elements.length === 0) return false;
      const deletions = elements.map((element): ElementChange => ({ op: 'delete', ...element }));
      await this.#notes.delete(knock, source, by, deletions);
      this.#ends.delete(noteKey(knock, source));
      return true;
    });
    if (was) {
      this.options.events.emit('knock', { what: 'revoked', knock, address: formatPrefix(source), by: by.kind });
    }
    return was;
  }

  /**
   * Gives the kernel what it has lost: after a restart of the machine, or when its sets were emptied. Notes down whom the
   * kernel let in while nobody took notes.
   */
  async restore(): Promise<void> {
    await this.options.gate.pass(async () => {
      const present = new Map((await this.list()).map((grant) => [noteKey(grant.knock, grant.source), grant]));
      const changes: ElementChange[] = [];
      for (const kept of this.#notes.all()) {
        const { knock, source, ports } = kept;
        const live = this.#knocks.get(knock);
        const key = noteKey(knock, source);
        if (live === undefined || present.has(key) || !mayHold(live, source)) continue;
        const leftMs = this.#leftOf(kept);
        const timeout = leftMs === undefined ? {} : { timeoutMs: leftMs };
        changes.push(...elementsOf(live, source, ports).map((one) => ({ op: 'add' as const, ...one, ...timeout })));
        present.set(key, kept);
      }
      if (changes.length > 0) await this.options.committer.commit([], changes);
      for (const [key, grant] of present) this.#ends.set(key, grant, this.#leftOf(grant));
      await this.#noteUnknown([...present.values()]);
    });
  }

  /** Forgets grants of knocks that the policy no longer has. */
  async forget(by: Source): Promise<void> {
    const gone = [...this.#notes.all()].filter(({ knock }) => !this.#knocks.has(knock));
    await Promise.all(gone.map(({ knock, source }) => this.#notes.delete(knock, source, by)));
  }

  async #noteUnknown(grants: readonly Grant[]): Promise<void> {
    for (const grant of grants) {
      if (this.#notes.get(grant.knock, grant.source) === undefined) await this.#keep(grant, []);
    }
  }

  #known(knock: string): LiveKnock {
    const live = this.#knocks.get(knock);
    if (live === undefined) throw missing('knock', knock, this.#knocks.keys());
    return live;
  }

  async #listOf(live: LiveKnock): Promise<Grant[]> {
    const { kernel } = this.options;
    const dumps = live.grants.map(async (set) =>
      (await kernel.dump(set.set)).map(({ key, expiresMs }) => ({ ...grantOf(set, key), expiresMs })),
    );
    const grants = new Map<string, Grant>();
    for (const { source, port, expiresMs } of (await Promise.all(dumps)).flat()) {
      const key = noteKey(live.name, source);
      const before = grants.get(key);
      const found = this.#seen(live.name, source, port && [port], expiresMs);
      grants.set(key, before === undefined ? found : this.#merged(before, found));
    }
    return [...grants.values()];
  }

  async #find(live: LiveKnock, source: Prefix): Promise<Grant | undefined> {
    if (!mayHold(live, source)) return undefined;
    const ports = this.#notes.get(live.name, source)?.ports;
    const anywhere = await this.#stateOf(elementsOf(live, source));
    if (anywhere !== undefined) return this.#seen(live.name, source, undefined, anywhere.expiresMs);
    if (ports === undefined) return undefined;
    const states = await Promise.all(elementsOf(live, source, ports).map((one) => this.#stateOf([one])));
    const open = ports.filter((_, index) => states[index] !== undefined);
    if (open.length === 0) return undefined;
    const ends = states.flatMap((state) => (state === undefined ? [] : [state.expiresMs]));
    return this.#seen(live.name, source, open, ends.includes(undefined) ? undefined : Math.max(...(ends as number[])));
  }

  async #stateOf([element]: readonly GrantElement[]) {
    const { set, key } = element!;
    return this.options.kernel.get(set, { key });
  }

  /** Those that the kernel doesn't have for as long already. */
  async #longer(elements: readonly GrantElement[], leftMs: number | undefined): Promise<GrantElement[]> {
    const states = await Promise.all(elements.map((element) => this.#stateOf([element])));
    return elements.filter((_, index) => {
      const state = states[index];
      if (state === undefined) return true;
      return state.expiresMs !== undefined && (leftMs === undefined || state.expiresMs < leftMs);
    });
  }

  /** All elements of a source. */
  async #present(live: LiveKnock, source: Prefix): Promise<GrantElement[]> {
    const anywhere = elementsOf(live, source);
    const found = (await this.#stateOf(anywhere)) === undefined ? [] : anywhere;
    const own = formatPrefix(source);
    const dumps = portSets(live, source).map(async (set) => {
      const of = live.grants.find((one) => one.set === set)!;
      const elements = await this.options.kernel.dump(set);
      return elements.flatMap(({ key }) => (formatPrefix(grantOf(of, key).source) === own ? [{ set, key }] : []));
    });
    return [...found, ...(await Promise.all(dumps)).flat()];
  }

  #fresh(knock: string, source: Prefix, { by, client, ports }: GrantAs, leftMs: number | undefined): Grant {
    const who = client === undefined ? {} : { client };
    const where = ports === undefined ? {} : { ports };
    return { knock, source, ...where, by, ...who, at: this.options.clock.wall(), ...this.#until(leftMs) };
  }

  /** A grant as the kernel has it, with what is known of it. */
  #seen(knock: string, source: Prefix, ports: readonly DoorPort[] | undefined, expiresMs: number | undefined): Grant {
    const { by = 'sequence', at, client } = this.#notes.get(knock, source) ?? {};
    return {
      knock,
      source,
      ...(ports !== undefined && { ports }),
      by,
      ...(client !== undefined && { client }),
      ...(at !== undefined && { at }),
      ...this.#until(expiresMs),
    };
  }

  /** Two grants of one source: what either allows, as long as the longer. The later one says who and when. */
  #merged(before: Grant | undefined, grant: Grant): Grant {
    if (before === undefined) return grant;
    const { ports: _, until: __, ...rest } = grant;
    const until =
      before.until === undefined || grant.until === undefined ? undefined : Math.max(before.until, grant.until);
    const ports =
      before.ports === undefined || grant.ports === undefined ? undefined : union(before.ports, grant.ports);
    return { ...rest, ...(ports && { ports }), ...(until !== undefined && { until }) };
  }

  async #keep(grant: Grant, elements: readonly ElementChange[]): Promise<void> {
    await this.#notes.set(grant, elements);
    this.#ends.set(noteKey(grant.knock, grant.source), grant, this.#leftOf(grant));
  }

  #until(leftMs: number | undefined): { readonly until?: number } {
    return leftMs === undefined ? {} : { until: this.options.clock.wall() + leftMs };
  }

  #leftOf({ until }: Pick<Grant, 'until'>): number | undefined {
    return until === undefined ? undefined : Math.max(1, until - this.options.clock.wall());
  }

  #tell(what: 'granted' | 'expired', { knock, source, by, client, ports, until }: Grant): void {
    this.options.events.emit('knock', {
      what,
      knock,
      address: formatPrefix(source),
      by,
      ...(client !== undefined && { client }),
      ...(ports !== undefined && { ports: ports.map(formatDoorPort) }),
      ...(until !== undefined && { until }),
    });
  }
}

/** So long a source that has signed is remembered. */
const knownMs = 30 * 86_400_000;

function shortest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

/** In order, since the kernel's sets have none. */
function union(a: readonly DoorPort[], b: readonly DoorPort[]): DoorPort[] {
  const all = [...new Map([...a, ...b].map((port) => [formatDoorPort(port), port])).values()];
  return all.sort((x, y) => x.protocol.localeCompare(y.protocol) || x.port - y.port);
}
