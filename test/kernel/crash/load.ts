/** The load under which a daemon is killed, and what may be true of its tables afterwards. */

import { encodePftabled, pftabledKey } from '../../../src/wire/pftabled.js';
import type { RestClient } from './rest-client.js';

/** Entries of one request. */
const batchEntries = 25;
/** Entries of a request that takes several changes of kernel and store. */
const wholeEntries = 5_000;
const atATime = 8;

type Fate = 'asked to add' | 'added' | 'asked to delete' | 'deleted';

/** Batches of entries, each added and perhaps deleted by one request. */
export class RequestLoad {
  readonly #batches = new Map<number, Fate>();
  /** Versions of the table that is replaced whole: the last that was answered, and those asked for since. */
  #version = 0;
  #asked: number[] = [];
  #next = 1;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();
  answered = 0;

  constructor(
    private readonly rest: RestClient,
    private readonly round: number,
  ) {}

  /** Empties the tables, so that a round stands alone. */
  async prepare(): Promise<void> {
    for (const table of ['requests', 'whole']) await this.rest.ask('POST', `/v1/tables/${table}/flush`);
  }

  /** @param perSecond entries, all kinds of requests together */
  start(perSecond: number): void {
    const startedAt = performance.now();
    const due = () => (perSecond * (performance.now() - startedAt)) / 1_000;
    const runner = async () => {
      while (!this.#stopped) {
        if (this.answered > due()) await new Promise((done) => setTimeout(done, 2));
        else await this.#one();
      }
    };
    this.#running = Promise.allSettled([...Array.from({ length: atATime }, runner), this.#replacing()]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** What is wrong with the contents of `requests`. */
  wrongRequests(there: ReadonlySet<string>): string[] {
    const wrong: string[] = [];
    for (const [batch, fate] of this.#batches) {
      const found = this.#addresses(batch).filter((address) => there.has(address)).length;
      if (found !== 0 && found !== batchEntries) wrong.push(`batch ${batch}, ${fate}: ${found} of ${batchEntries}`);
      if (fate === 'added' && found === 0) wrong.push(`batch ${batch}, ${fate}: gone`);
      if (fate === 'deleted' && found !== 0) wrong.push(`batch ${batch}, ${fate}: there`);
    }
    const known = new Set([...this.#batches.keys()].flatMap((batch) => this.#addresses(batch)));
    for (const address of there) if (!known.has(address)) wrong.push(`${address}: nobody asked for it`);
    return wrong;
  }

  /** What is wrong with the contents of `whole`. */
  wrongWhole(there: ReadonlySet<string>): string[] {
    const versions = [this.#version, ...this.#asked];
    const isVersion = (version: number) => {
      const wanted = version === 0 ? [] : this.#versionAddresses(version);
      return wanted.length === there.size && wanted.every((address) => there.has(address));
    };
    if (versions.some(isVersion)) return [];
    return [`${there.size} entries, none of the versions ${versions.join(', ')}; first ${[...there][0]}`];
  }

  get batches(): number {
    return this.#batches.size;
  }

  get versions(): number {
    return this.#version;
  }

  async #one(): Promise<void> {
    const old = [...this.#batches].findLast(([, fate]) => fate === 'added')?.[0];
    if (old !== undefined && this.#next % 4 === 3) {
      this.#next++;
      await this.#request(old, 'DELETE', 'asked to delete', 'deleted');
      return;
    }
    const batch = this.#next++;
    await this.#request(batch, 'POST', 'asked to add', 'added');
  }

  async #request(batch: number, method: string, asked: Fate, done: Fate): Promise<void> {
    this.#batches.set(batch, asked);
    const body = this.#addresses(batch).map((address) => ({ address }));
    try {
      await this.rest.ask(method, '/v1/tables/requests/entries', body);
    } catch (error) {
      if (!this.#stopped && !isBrokenOff(error)) throw error;
      this.#stopped = true;
      return;
    }
    this.#batches.set(batch, done);
    this.answered += body.length;
  }

  async #replacing(): Promise<void> {
    while (!this.#stopped) {
      const version = Math.max(this.#version, ...this.#asked) + 1;
      this.#asked = [version];
      const body = this.#versionAddresses(version).map((address) => ({ address }));
      try {
        await this.rest.ask('PUT', '/v1/tables/whole/entries', body);
      } catch (error) {
        if (!this.#stopped && !isBrokenOff(error)) throw error;
        return;
      }
      this.#version = version;
      this.#asked = [];
      this.answered += body.length;
      await new Promise((done) => setTimeout(done, 200));
    }
  }

  #addresses(batch: number): string[] {
    return Array.from({ length: batchEntries }, (_, i) => `2001:db8:${hex(this.round)}:${hex(batch)}::${hex(i + 1)}`);
  }

  #versionAddresses(version: number): string[] {
    return Array.from({ length: wholeEntries }, (_, i) => `2001:db8:${hex(version)}::${hex(i + 1)}`);
  }
}

function isBrokenOff(error: unknown): boolean {
  return !(error instanceof Error) || !/^\w+ \/v1/.test(error.message);
}

const hex = (number: number) => number.toString(16);

/** Signed requests to add hosts of 198.18.0.0/15, each its own. */
export function addDatagrams(key: Buffer, count: number, timestampS: number): Buffer[] {
  const signing = pftabledKey(key);
  return Array.from({ length: count }, (_, i) =>
    encodePftabled(
      { version: 2, command: 1, mask: 32, address: 0xc612_0000 + i, table: 'datagrams', timestamp: timestampS },
      signing,
    ),
  );
}
