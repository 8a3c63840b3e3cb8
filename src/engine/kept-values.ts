/**
 * Named values that outlive the process: grants of knocks, quotas, conditions, totals of accounts. Each is one record of
 * the store and replaced whole. Without a store they live as long as the process.
 */

import type { ElementChange } from '../kernel/kernel.js';
import type { Committer } from '../store/committer.js';
import type { Json, Space } from '../store/register.js';
import type { Draft, KeptValue, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { Source } from './tables.js';

export interface KeptValuesParts {
  readonly committer: Committer;
  readonly store: Pick<Store, 'value' | 'values'> | undefined;
  readonly clock: Pick<Clock, 'wall' | 'steady'>;
}

/** What belongs to a change of a value. */
export interface Keeping {
  /** For the audit log; absent: bookkeeping that nobody asked for. */
  readonly source?: Source;
  /** Changed in the kernel together with the value: both or neither. */
  readonly elements?: readonly ElementChange[];
}

export interface Kept<T> {
  readonly value: T;
  /** Milliseconds since the epoch; absent: never. It follows the clock when that is stepped. */
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
  set(key: string, value: T, { expiresAt, ...keeping }: Keeping & { readonly expiresAt?: number | undefined } = {}) {
    return this.change(new Map([[key, expiresAt === undefined ? { value } : { value, expiresAt }]]), keeping);
  }

  delete(key: string, keeping: Keeping = {}): Promise<void> {
    return this.change(new Map([[key, undefined]]), keeping);
  }

  /** Several at once: all of them or none. Undefined: deleted. */
  async change(
    values: ReadonlyMap<string, Kept<T> | undefined>,
    { source, elements = [] }: Keeping = {},
  ): Promise<void> {
    const origin = source === undefined ? {} : { origin: source };
    const { space } = this;
    const drafts = Array.from(values, ([key, kept]): Draft => ({ kind: 'value', space, key, ...kept, ...origin }));
    await this.parts.committer.commit(drafts, elements);
    if (this.parts.store !== undefined) return;
    for (const [key, kept] of values) {
      if (kept === undefined) this.#memory.delete(key);
      else this.#remember(key, kept);
    }
  }

  /** Drafts that forget what the test names, to be committed with what else is forgotten. */
  forget(isGone: (key: string) => boolean): Draft[] {
    const gone = Array.from(this.all(), ([key]) => key).filter(isGone);
    for (const key of gone) this.#memory.delete(key);
    return gone.map((key): Draft => ({ kind: 'value', space: this.space, key }));
  }

  #remember(key: string, { value, expiresAt = Number.POSITIVE_INFINITY }: Kept<T>): void {
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
