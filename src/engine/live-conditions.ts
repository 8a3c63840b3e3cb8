/**
 * Conditions of the policy: the kernel's sets say how they stand, and the store keeps what was set, for the next boot. Where
 * nobody has set one it stands as the policy says, and follows it when that changes.
 */

import type { EventEmitter } from 'node:events';
import type { Plan } from '../compiler/plan.js';
import { conditionName, conditionState } from '../extensions/condition-names.js';
import type { ElementChange, Kernel, SetIndex } from '../kernel/kernel.js';
import { encodeKey } from '../nft/key.js';
import type { NftSet, Table } from '../nft/model.js';
import type { Committer } from '../store/committer.js';
import type { Draft, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { ConditionState, Conditions } from './conditions.js';
import type { EngineEvents } from './engine.js';
import type { Gate } from './gate.js';
import { KeptValues } from './kept-values.js';
import { missing } from './missing.js';
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

interface LiveCondition {
  readonly set: SetIndex;
  /** As the policy says. */
  readonly initial: boolean;
}

export class LiveConditions implements Conditions {
  #live: ReadonlyMap<string, LiveCondition> = new Map();
  readonly #kept: KeptValues<boolean>;

  constructor(private readonly options: LiveConditionsOptions) {
    this.#kept = new KeptValues('condition', (kept) => typeof kept === 'boolean', options);
  }

  /** The plan with conditions as they were set: they are loaded in the transaction of the rules. */
  prepared<P extends Plan>(plan: P): P {
    const live = liveConditions(plan);
    const names = new Map(Array.from(live, ([name, { set }]) => [pathOf(plan.manifest.sets[set]!), name]));
    const asItStands = (table: Table, set: NftSet): NftSet => {
      const name = names.get(pathOf({ table: table.family, name: set.name }));
      if (name === undefined) return set;
      const on = this.#kept.get(name)?.value ?? live.get(name)!.initial;
      return { ...set, elements: on ? families.map((value) => ({ value })) : [] };
    };
    const tables = plan.ruleset.tables.map((table) => ({
      ...table,
      sets: table.sets.map((set) => asItStands(table, set)),
    }));
    return { ...plan, ruleset: { tables } };
  }

  /** From now on the plan's indexes hold. */
  switch(plan: Plan): void {
    this.#live = liveConditions(plan);
  }

  names(): readonly string[] {
    return [...this.#live.keys()];
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

  /** Gives the kernel back what was set, or what the policy says, after others changed its sets. */
  async restore(): Promise<void> {
    await this.options.gate.pass(async () => {
      const wrong = (await this.#list()).filter(({ name, on }) => this.#wanted(name) !== on);
      const changes = wrong.flatMap(({ name, on }) => this.#changes(name, !on));
      if (changes.length > 0) await this.options.committer.commit([], changes);
    });
  }

  /** For the store: what is kept of conditions that left the policy. */
  forget(): Draft[] {
    return this.#kept.forget((name) => !this.#live.has(name));
  }

  #wanted(name: string): boolean {
    return this.#kept.get(name)?.value ?? this.#known(name).initial;
  }

  #list(): Promise<ConditionState[]> {
    const { kernel } = this.options;
    return Promise.all(
      [...this.#live].map(async ([name, { set }]) => ({ name, on: (await kernel.dump(set)).length > 0 })),
    );
  }

  #changes(name: string, on: boolean): ElementChange[] {
    const { set } = this.#known(name);
    return on ? keys.map((key) => ({ op: 'add', set, ...key })) : [{ op: 'flush', set }];
  }

  #known(name: string): LiveCondition {
    const condition = this.#live.get(name);
    if (condition !== undefined) return condition;
    throw missing('condition', name, this.names());
  }
}

const pathOf = ({ table, name }: { readonly table: string; readonly name: string }): string => `${table} ${name}`;

function liveConditions({ manifest, ruleset }: Pick<Plan, 'manifest' | 'ruleset'>): Map<string, LiveCondition> {
  const planned = new Map(
    ruleset.tables.flatMap(({ family, sets }) => sets.map((set) => [pathOf({ table: family, name: set.name }), set])),
  );
  return new Map(
    manifest.sets.flatMap((one, set): [string, LiveCondition][] => {
      const { role } = one;
      if (role.kind !== 'extension' || role.extension !== conditionName || role.purpose !== conditionState) return [];
      return [[role.name, { set, initial: (planned.get(pathOf(one))?.initial ?? []).length > 0 }]];
    }),
  );
}
