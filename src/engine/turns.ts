/** Work of one key is done in the order of the calls, each once the one before has ended; different keys don't wait. */
export class Turns<Key> {
  /** The last of those that wait or run, by key; never rejects. */
  readonly #last = new Map<Key, Promise<unknown>>();

  /** What `work` gives, or throws: that of others before it is theirs alone. */
  async take<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const own = before.then(work);
    const ended = own.catch(() => {});
    this.#last.set(key, ended);
    try {
      return await own;
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
