/** Conditions of the policy: the kernel's sets say how they stand, and the store keeps what was set, for the next boot. */

import type { EventEmitter } from 'node:events';
import type { Manifest } from '../compiler/plan.js';
import { conditionName, conditionState } from '../extensions/condition-names.js';
import type { ElementChange, Kernel, SetIndex } from '../kernel/kernel.js';
import { encodeKey } from '../nft/key.js';
import type { Element } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { Committer } from '../store/committer.js';
import type { Draft, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { ConditionState, Conditions } from './conditions.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import { KeptValues } from './kept-values.js';
import { missing } from './missing.js';
import { setNames } from './policy-tables.js';
import type { Source } from './tables.js';

export interface LiveConditionsOptions {
  readonly kernel: Pick<Kernel, 'dump'>;
  readonly committer: Committer;
  readonly gate: Gate;
  readonly events: EventEmitter<EngineEvents>;
  readonly clock: Clock;
  /** Absent: what was set ends with the process. */
  readonly store: Store | undefined;
}

const families = ['ipv4', 'ipv6'] as const;
const keys = families.map((family) => encodeKey(['nf_proto'], family)!);

export class LiveConditions implements Conditions {
  #sets: ReadonlyMap<string, SetIndex> = new Map();
  readonly #kept: KeptValues<boolean>;

  constructor(private readonly options: LiveConditionsOptions) {
    this.#kept = new KeptValues('condition', (kept) => typeof kept === 'boolean', options);
  }

  /** From now on the manifest's indexes hold. */
  switch(manifest: Pick<Manifest, 'sets'>): void {
    this.#sets = conditionSets(manifest);
  }

  /** What was set, for sets that aren't in the kernel yet; the policy says how the others stand. */
  contents(manifest: Pick<Manifest, 'sets' | 'tables'>, presence: Presence): Contents {
    const paths = setNames(manifest);
    const contents = new Map<string, readonly Element[]>();
    for (const [name, set] of conditionSets(manifest)) {
      const on = this.#kept.get(name)?.value;
      if (on === undefined || presence.sets.has(paths[set]!)) continue;
      contents.set(paths[set]!, on ? families.map((value) => ({ value })) : []);
    }
    return contents;
  }

  names(): readonly string[] {
    return [...this.#sets.keys()];
  }

  list(): Promise<ConditionState[]> {
    return this.options.gate.pass(() => this.#list());
  }

  async set(states: ReadonlyMap<string, boolean>, source: Source): Promise<readonly string[]> {
    const changed = await this.options.gate.pass(async () => {
      for (const name of states.keys()) this.#known(name);
      const before = new Map((await this.#list()).map(({ name, on }) => [name, on]));
      const elements = [...states].flatMap(([name, on]) => this.#changes(name, on));
      const values = new Map(Array.from(states, ([name, value]) => [name, { value }]));
      await this.#kept.change(values, { source, elements });
      return [...states].filter(([name, on]) => before.get(name) !== on);
    });
    for (const [name, on] of changed) this.options.events.emit('condition', { condition: name, on, source });
    return changed.map(([name]) => name);
  }

  /** Gives the kernel back what was set, after others changed its sets. */
  async restore(): Promise<void> {
    await this.options.gate.pass(async () => {
      const wrong = (await this.#list()).filter(({ name, on }) => (this.#kept.get(name)?.value ?? on) !== on);
      const changes = wrong.flatMap(({ name, on }) => this.#changes(name, !on));
      if (changes.length > 0) await this.options.committer.commit([], changes);
    });
  }

  /** For the store: what is kept of conditions that left the policy. */
  forget(): Draft[] {
    return this.#kept.forget((name) => !this.#sets.has(name));
  }

  #list(): Promise<ConditionState[]> {
    const { kernel } = this.options;
    return Promise.all([...this.#sets].map(async ([name, set]) => ({ name, on: (await kernel.dump(set)).length > 0 })));
  }

  #changes(name: string, on: boolean): ElementChange[] {
    const set = this.#known(name);
    return on ? keys.map((key) => ({ op: 'add', set, ...key })) : [{ op: 'flush', set }];
  }

  #known(name: string): SetIndex {
    const set = this.#sets.get(name);
    if (set !== undefined) return set;
    throw missing('condition', name, this.names());
  }
}

function conditionSets({ sets }: Pick<Manifest, 'sets'>): Map<string, SetIndex> {
  return new Map(
    sets.flatMap(({ role }, set): [string, SetIndex][] =>
      role.kind === 'extension' && role.extension === conditionName && role.purpose === conditionState
        ? [[role.name, set]]
        : [],
    ),
  );
}
