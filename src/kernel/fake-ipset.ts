/** An ipset of the fake kernel: elements as the real one shows them, with timeouts by an injected clock, and bounds. */

import type { ManifestIpset } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { Undo } from './fake-set.js';
import { elementsOf } from './ipset-target.js';
import type { ElementChange, ElementKey, ElementState } from './kernel.js';

type Addition = Extract<ElementChange, { op: 'add' }>;

interface Stored {
  readonly state: ElementState;
  readonly expiresAt: number | undefined;
}

export class FakeIpset {
  #elements = new Map<string, Stored>();

  constructor(
    readonly shape: ManifestIpset,
    private readonly now: () => number,
  ) {}

  get length(): number {
    return this.states().length * (this.shape.ports?.length ?? 1);
  }

  /** @throws PosternError `full`, `invalid`. */
  add(change: Addition): Undo {
    elementsOf(this.shape, change);
    const id = idOf(change);
    const before = this.#elements;
    if (!before.has(id) && this.length >= this.shape.size) {
      throw new PosternError('full', `ipset ${this.shape.name}: full, it holds ${this.shape.size} elements`);
    }
    const { key, keyEnd, timeoutMs, comment, nomatch } = change;
    const isNet = this.shape.type === 'hash:net';
    const state = {
      key,
      ...(isNet && { keyEnd: keyEnd ?? key }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(comment !== undefined && { comment }),
      ...(nomatch && { nomatch }),
    };
    const expiresAt = timeoutMs === undefined ? undefined : this.now() + timeoutMs;
    this.#elements = new Map(before).set(id, { state, expiresAt });
    return () => this.#restore(before);
  }

  delete(key: ElementKey): Undo {
    const before = this.#elements;
    this.#elements = new Map(before);
    this.#elements.delete(idOf(key));
    return () => this.#restore(before);
  }

  flush(): Undo {
    const before = this.#elements;
    this.#elements = new Map();
    return () => this.#restore(before);
  }

  get(key: ElementKey): ElementState | undefined {
    const id = idOf(key);
    return this.states().find((state) => idOf(state) === id);
  }

  states(): ElementState[] {
    const live = [...this.#elements.values()].filter(({ expiresAt = Infinity }) => expiresAt > this.now());
    return live.map(({ state, expiresAt }) => ({
      ...state,
      ...(expiresAt !== undefined && { expiresMs: expiresAt - this.now() }),
    }));
  }

  /** The same contents in another shape. */
  reshaped(shape: ManifestIpset): FakeIpset {
    const set = new FakeIpset(shape, this.now);
    set.#elements = this.#elements;
    return set;
  }

  #restore(elements: Map<string, Stored>): void {
    this.#elements = elements;
  }
}

/** Of a single address its end is the address itself. */
function idOf({ key, keyEnd = key }: ElementKey): string {
  return `${Buffer.from(key).toString('hex')}-${Buffer.from(keyEnd).toString('hex')}`;
}
