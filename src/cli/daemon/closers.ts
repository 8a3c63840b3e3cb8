import { asPosternError } from '../../errors.js';

/** What was started, to be stopped in the opposite order. */
export class Closers {
  readonly #list: (() => Promise<void> | void)[] = [];

  /** @param trouble is told of what can't be stopped; the rest is stopped all the same. */
  constructor(readonly trouble: (message: string) => void) {}

  readonly add = (close: () => Promise<void> | void): void => {
    this.#list.push(close);
  };

  /** Again: nothing. */
  async close(): Promise<void> {
    for (const close of this.#list.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        this.trouble(asPosternError(error).message);
      }
    }
  }
}
