/** Answers that end only when their reader goes or the server stops. */

import type { Readable } from 'node:stream';
import { PosternError } from '../errors.js';
import type { Api } from './api.js';

export class LongStreams {
  readonly #ends = new Map<Readable, () => void>();

  constructor(
    api: Api,
    readonly max: number,
  ) {
    api.addHook('preClose', async () => {
      for (const end of this.#ends.values()) end();
    });
  }

  /** @throws PosternError `busy` at the bound. */
  admit(): void {
    if (this.#ends.size < this.max) return;
    throw new PosternError('busy', `${this.max} readers follow this already`);
  }

  /** @param end makes the stream end as if it were complete. */
  add(stream: Readable, end: () => void): void {
    this.#ends.set(stream, end);
    stream.once('close', () => this.#ends.delete(stream));
  }
}
