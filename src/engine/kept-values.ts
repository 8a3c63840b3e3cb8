/**
 * Named values that outlive the process: grants of knocks, quotas, conditions, totals of accounts. Each is one record of
 * the store and replaced whole. Without a store they live as long as the process.
 */

import type { ElementChange } from '../kernel/kernel.js';
import type { Committer } from '../store/committer.js';
import type { Json, Space } from '../store/register.js';
import type { KeptValue, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { Source } from './tables.js';

export interface KeptValuesParts {
  readonly committer: Committer;
  readonly store: Pick<Store, 'value' | 'values'> | undefined;
  readonly clock: Pick<Clock, 'wall' | 'steady'>;
}

/** What belongs to a change of a value. */
export interface Keeping {
  /** Milliseconds since the epoch; absent: never. It follows the clock when that is stepped. */
  readonly expiresAt?: number | undefined;
  /** For the audit log; absent: bookkeeping that nobody asked for. */
  readonly source?: Source;
  /** Changed in the kernel together with the value: both or neither. */
  readonly elements?: readonly ElementChange[];
}

export interface Kept<T> {
  readonly value: T;
  /** Milliseconds since the epoch; absent: never. */
  readonly expiresAt?: number;
}

interface Remembered {
  readonly value: Json;
  /** On the steady clock. */
  readonly endsAt: number;
}

export class KeptValues<T extends Json> {
  readonly #memory = new Map<string, Remembered>();

  /** @param isValue whether what was kept, by another version or on another machine, can be used; what can't is passed over */
  constructor(
    private readonly space: Space,
    private readonly isValue: (kept: Json) => kept is T,
    private readonly parts: KeptValuesParts,
  ) {}

  get(key: string): Kept<T> | undefined {
    const { store } = this.parts;
    return this.#checked(store === undefined ? this.#fresh(key) : store.value(this.space, key));
  }

  *all(): Generator<readonly [key: string, Kept<T>]> {
    const { store } = this.parts;
    for (const [key, kept] of store === undefined ? [...this.#memory] : store.values(this.space)) {
      const checked = store === undefined ? this.#checked(this.#fresh(key)) : this.#checked(kept);
      if (checked !== undefined) yield [key, checked];
    }
  }

  /** Durable, and in the kernel, when it resolves. @throws PosternError as `Committer.commit`. */
  async set(key: string, value: T, { expiresAt, source, elements = [] }: Keeping = {}): Promise<void> {
    const kept = { value, ...(expiresAt !== undefined && { expiresAt }) };
    await this.#commit(key, kept, source, elements);
    if (this.parts.store === undefined) this.#remember(key, value, expiresAt);
  }

  async delete(key: string, { source, elements = [] }: Omit<Keeping, 'expiresAt'> = {}): Promise<void> {
    await this.#commit(key, {}, source, elements);
    this.#memory.delete(key);
  }

  #commit(
    key: string,
    kept: Partial<KeptValue>,
    source: Source | undefined,
    elements: readonly ElementChange[],
  ): Promise<void> {
    const origin = source === undefined ? {} : { origin: source };
    return this.parts.committer.commit([{ kind: 'value', space: this.space, key, ...kept, ...origin }], elements);
  }

  #remember(key: string, value: T, expiresAt = Number.POSITIVE_INFINITY): void {
    const { clock } = this.parts;
    this.#memory.set(key, { value, endsAt: expiresAt - clock.wall() + clock.steady() });
  }

  #fresh(key: string): KeptValue | undefined {
    const { clock } = this.parts;
    const { value, endsAt = Number.NEGATIVE_INFINITY } = this.#memory.get(key) ?? {};
    const leftMs = endsAt - clock.steady();
    if (value !== undefined && leftMs > 0) {
      return leftMs === Number.POSITIVE_INFINITY ? { value } : { value, expiresAt: clock.wall() + leftMs };
    }
    this.#memory.delete(key);
    return undefined;
  }

  #checked(kept: KeptValue | undefined): Kept<T> | undefined {
    if (kept === undefined) return undefined;
    const { value, expiresAt } = kept;
    if (!this.isValue(value)) return undefined;
    return { value, ...(expiresAt !== undefined && { expiresAt }) };
  }
}
