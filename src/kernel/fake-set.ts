/** A set of the fake kernel: elements with timeouts by an injected clock, bounds, and intervals that may not overlap. */

import { PosternError } from '../errors.js';
import { keyLength, keyParts } from '../nft/key.js';
import type { ElementKey, ElementState } from './kernel.js';

/** What the kernel knows of a set. */
export interface SetShape {
  readonly name: string;
  /** nft type names; undefined when only expressions are known: then lengths aren't checked. */
  readonly types: readonly string[] | undefined;
  readonly interval: boolean;
  readonly timeout: boolean;
  readonly counter: boolean;
  readonly size: number | undefined;
  /** Milliseconds; of elements that packets add. */
  readonly defaultTimeoutMs: number | undefined;
}

interface Stored extends ElementKey {
  readonly timeoutMs?: number;
  readonly expiresAt?: number;
  readonly comment?: string;
  packets: bigint;
  bytes: bigint;
}

/** Takes back what was done. */
export type Undo = () => void;

export class FakeSet {
  #elements = new Map<string, Stored>();
  /** Starts of intervals in order, to find neighbours. Unused in other sets. */
  #starts: string[] = [];

  constructor(
    readonly shape: SetShape,
    private readonly now: () => number,
  ) {}

  /** The same contents under another shape, as when a set is defined again with another size. */
  reshaped(shape: SetShape): FakeSet {
    const set = new FakeSet(shape, this.now);
    for (const [id, element] of this.#live()) set.#put(id, { ...element });
    return set;
  }

  get length(): number {
    return [...this.#live()].length;
  }

  /** Adds an element or gives it this timeout; its comment and counter stay. @throws PosternError `full`, `kernel`. */
  add(element: ElementState): Undo {
    this.#assertFits(element);
    const id = idOf(element.key);
    const before = this.#liveAt(id);
    const { timeoutMs, expiresMs = timeoutMs } = element;
    const times =
      timeoutMs !== undefined && expiresMs !== undefined ? { timeoutMs, expiresAt: this.now() + expiresMs } : {};
    if (before !== undefined && sameEnd(before, element)) {
      const { timeoutMs: _timeout, expiresAt: _expires, ...rest } = before;
      return this.#put(id, { ...rest, ...times });
    }
    this.#assertFree(element);
    this.#assertRoom();
    const { key, keyEnd, comment, packets = 0n, bytes = 0n } = element;
    const end = this.shape.interval ? { keyEnd: keyEnd ?? key } : {};
    return this.#put(id, { key, ...end, ...times, ...(comment !== undefined && { comment }), packets, bytes });
  }

  /** No error when the element isn't there. */
  delete(element: ElementKey): Undo {
    this.#assertFits(element);
    const id = idOf(element.key);
    const before = this.#liveAt(id);
    return before !== undefined && sameEnd(before, element) ? this.#remove(id) : () => {};
  }

  flush(): Undo {
    const [elements, starts] = [this.#elements, this.#starts];
    this.#elements = new Map();
    this.#starts = [];
    return () => {
      this.#elements = elements;
      this.#starts = starts;
    };
  }

  get(element: ElementKey): ElementState | undefined {
    const found = this.#liveAt(idOf(element.key));
    return found !== undefined && sameEnd(found, element) ? this.#state(found) : undefined;
  }

  states(reset = false): ElementState[] {
    const live = [...this.#live()].map(([, element]) => element);
    const states = live.map((element) => this.#state(element));
    if (reset) for (const element of live) element.packets = element.bytes = 0n;
    return states;
  }

  /** What `update @set { key }` does for packets: false when the set is full. */
  count(key: Uint8Array, packets: bigint, bytes: bigint): boolean {
    const id = idOf(key);
    const { defaultTimeoutMs: timeoutMs } = this.shape;
    try {
      this.add({ key, ...(timeoutMs !== undefined && { timeoutMs }) });
    } catch (error) {
      if (error instanceof PosternError && error.code === 'full') return false;
      throw error;
    }
    const element = this.#elements.get(id)!;
    element.packets += packets;
    element.bytes += bytes;
    return true;
  }

  #state({ key, keyEnd, timeoutMs, expiresAt, comment, packets, bytes }: Stored): ElementState {
    return {
      key,
      ...(keyEnd !== undefined && { keyEnd }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(expiresAt !== undefined && { expiresMs: expiresAt - this.now() }),
      ...(this.shape.counter && { packets, bytes }),
      ...(comment !== undefined && { comment }),
    };
  }

  *#live(): Generator<[string, Stored]> {
    for (const entry of this.#elements) if (!this.#expired(entry[1])) yield entry;
  }

  #liveAt(id: string): Stored | undefined {
    const element = this.#elements.get(id);
    return element === undefined || this.#expired(element) ? undefined : element;
  }

  #expired({ expiresAt }: Stored): boolean {
    return expiresAt !== undefined && expiresAt <= this.now();
  }

  #put(id: string, element: Stored): Undo {
    const before = this.#elements.get(id);
    this.#elements.set(id, element);
    if (before === undefined && this.shape.interval) this.#starts.splice(place(this.#starts, id), 0, id);
    return () => {
      if (before === undefined) this.#remove(id);
      else this.#elements.set(id, before);
    };
  }

  #remove(id: string): Undo {
    const before = this.#elements.get(id)!;
    this.#elements.delete(id);
    if (this.shape.interval) this.#starts.splice(place(this.#starts, id), 1);
    return () => void this.#put(id, before);
  }

  #assertFits({ key, keyEnd }: ElementKey): void {
    const { name, types, interval } = this.shape;
    const length = types && keyLength(types);
    if (length !== undefined && key.length !== length) {
      throw refused(name, `a key of ${key.length} bytes, ${types?.join(' . ')} has ${length} (EINVAL)`);
    }
    if (keyEnd === undefined) return;
    if (!interval && Buffer.compare(key, keyEnd) !== 0)
      throw refused(name, 'an interval in a set without them (EINVAL)');
    if (Buffer.compare(key, keyEnd) > 0) throw refused(name, 'an interval that ends before it starts (EINVAL)');
  }

  #assertFree(element: ElementKey): void {
    if (!this.shape.interval) return;
    const last = element.keyEnd ?? element.key;
    const overlapping = this.#isConcatenation
      ? [...this.#live()].some(([, other]) => this.#contains(other, element.key) || this.#contains(other, last))
      : this.#neighbours(idOf(element.key)).some(
          (other) => reaches(other.key, last) && reaches(element.key, endOf(other)),
        );
    if (overlapping) throw refused(this.shape.name, 'the interval overlaps another one (EEXIST)');
  }

  get #isConcatenation(): boolean {
    return (this.shape.types?.length ?? 1) > 1;
  }

  /** Is the point inside the interval, part by part? */
  #contains(interval: ElementKey, point: Uint8Array): boolean {
    const parts = (key: Uint8Array): Uint8Array[] => keyParts(this.shape.types ?? [], key) ?? [key];
    const [first, last] = [parts(interval.key), parts(endOf(interval))];
    return parts(point).every(
      (part, index) => reaches(first[index] ?? part, part) && reaches(part, last[index] ?? part),
    );
  }

  /** The elements that start at or before, and behind; expired ones in between are passed over. */
  #neighbours(id: string): Stored[] {
    const at = place(this.#starts, id);
    const live = (start: string | undefined): Stored | undefined =>
      start === undefined ? undefined : this.#liveAt(start);
    const found: Stored[] = [];
    for (let index = at - 1; index >= 0; index--) {
      const before = live(this.#starts[index]);
      if (before === undefined) continue;
      found.push(before);
      break;
    }
    for (let index = at; index < this.#starts.length; index++) {
      const behind = live(this.#starts[index]);
      if (behind === undefined) continue;
      found.push(behind);
      break;
    }
    return found;
  }

  #assertRoom(): void {
    const { size, name } = this.shape;
    if (size === undefined || this.#elements.size < size) return;
    for (const [id, element] of this.#elements) if (this.#expired(element)) this.#remove(id);
    if (this.#elements.size < size) return;
    throw new PosternError('full', `set ${name}: full, it holds ${size} elements; raise its size`);
  }
}

const refused = (set: string, reason: string): PosternError => new PosternError('kernel', `set ${set}: ${reason}`);

/** Order of ids is order of keys. */
const idOf = (key: Uint8Array): string => Buffer.from(key).toString('hex');

const sameEnd = (a: ElementKey, b: ElementKey): boolean =>
  Buffer.compare(endOf(a), endOf(b)) === 0 && Buffer.compare(a.key, b.key) === 0;

/** Where `id` stands, or would stand, in sorted ids. */
function place(ids: readonly string[], id: string): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as string) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const endOf = ({ key, keyEnd = key }: ElementKey): Uint8Array => keyEnd;
const reaches = (low: Uint8Array, high: Uint8Array): boolean => Buffer.compare(low, high) <= 0;
