/**
 * While somebody listens to nf_tables, the kernel tells of each element that a transaction changes, and that takes it
 * longer than the change itself. So our own watch doesn't listen during large transactions of our own. Every transaction
 * raises the generation by one, and the kernel tells us which one ours made: where they don't follow each other, or
 * ours isn't the last, somebody else's came in between, and what the watch missed counts as lost.
 */

/** What doesn't listen during a silence. */
export interface Listener {
  pause(): void;
  resume(): void;
  /** Transactions of others were missed. */
  missed(): void;
}

export interface SilenceEdge {
  /** The number of the last transaction. */
  generation(): Promise<number>;
  later(delayMs: number, run: () => void): void;
}

/** Changes from which on a transaction is made in silence: below, asking for the generation takes longer. */
const LARGE = 500;
/** What is asked for so soon after a large transaction belongs to the same work. */
const LINGER_MS = 10;
/** Others are not heard for longer than this. */
const LONGEST_MS = 250;

interface Window {
  /** Of the last transaction that is known. */
  generation: number;
  /** Every transaction since the window's beginning was ours. */
  alone: boolean;
  /** The kernel told of one of ours. */
  told: boolean;
  uses: number;
  readonly endsBy: number;
}

/** Is told the generation that a transaction made. */
export type Committed = (generation: number) => void;

/** For transactions that come one after the other. */
export class Silence {
  readonly #listeners = new Set<Listener>();
  #window: Window | undefined;
  #ending: Promise<void> = Promise.resolve();
  /** The kernel doesn't tell which transactions are ours, so that each silence would count as a loss. */
  #useless = false;

  constructor(private readonly edge: SilenceEdge) {}

  add(listener: Listener): void {
    if (this.#window !== undefined) listener.pause();
    this.#listeners.add(listener);
  }

  delete(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  /**
   * Makes a transaction, in silence when it is large.
   * @param transact must tell the generation that it made, when it is given whom
   */
  async around<T>(changes: number, transact: (committed?: Committed) => Promise<T>): Promise<T> {
    await this.#ending;
    if (this.#window === undefined && changes >= LARGE && this.#isUseful()) await this.#begin();
    const window = this.#window;
    if (window === undefined) return transact();
    window.uses++;
    try {
      return await transact((generation) => {
        window.alone &&= generation === next(window.generation);
        window.generation = generation;
        window.told = true;
      });
    } finally {
      if (performance.now() >= window.endsBy) await this.end();
      else this.#endUnlessUsed(window);
    }
  }

  /** From now on everything is heard; resolves when it is known whether something was missed. */
  end(): Promise<void> {
    const window = this.#window;
    if (window === undefined) return this.#ending;
    this.#window = undefined;
    for (const listener of this.#listeners) listener.resume();
    this.#ending = this.#compare(window);
    return this.#ending;
  }

  #isUseful(): boolean {
    return this.#listeners.size > 0 && !this.#useless;
  }

  async #begin(): Promise<void> {
    // Before: what is committed until nobody listens is both heard and found missing.
    const generation = await this.edge.generation();
    this.#window = { generation, alone: true, told: false, uses: 0, endsBy: performance.now() + LONGEST_MS };
    for (const listener of this.#listeners) listener.pause();
  }

  #endUnlessUsed(window: Window): void {
    const { uses } = window;
    this.edge.later(LINGER_MS, () => {
      if (this.#window === window && window.uses === uses) void this.end();
    });
  }

  async #compare({ generation, alone, told }: Window): Promise<void> {
    const now = await this.edge.generation().catch(() => undefined);
    if (alone && now === generation) return;
    this.#useless ||= !told;
    for (const listener of this.#listeners) listener.missed();
  }
}

/** The kernel counts in 32 bits and leaves out 0. */
function next(generation: number): number {
  return (generation + 1) >>> 0 || 1;
}
