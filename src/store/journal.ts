/**
 * The journal: changes in their order, made durable in groups. While one group is being written and synced, the next one
 * gathers; so the disk sets the pace, and a change waits for one sync of its own at most.
 */

import { PosternError } from '../errors.js';
import { ByteWriter } from './byte-writer.js';
import type { AppendFile, Disk } from './disk.js';
import { type FrameToWrite, fileHeader, type Head, writeFrame } from './frame.js';

/** What may wait for the disk. */
const maxPendingBytes = 32 * 1024 * 1024;

interface Group {
  /** A new file begins with this group. */
  readonly begins?: number;
  readonly out: ByteWriter;
  readonly done: Promise<void>;
  readonly settle: (error?: unknown) => void;
}

export class Journal {
  #file: AppendFile | undefined;
  #gathering: Group | undefined;
  readonly #queue: Group[] = [];
  #running = false;
  #failure: unknown;
  #bytes = 0;
  #syncs = 0;
  #slowestSyncMs = 0;

  constructor(private readonly disk: Disk) {}

  /** Bytes appended since the store was opened. */
  get bytes(): number {
    return this.#bytes;
  }

  get syncs(): number {
    return this.#syncs;
  }

  get slowestSyncMs(): number {
    return this.#slowestSyncMs;
  }

  /** Everything appended from now on goes to a new file; resolves when that is durable. */
  begin(number: number, head: Head): Promise<void> {
    this.#gathering = undefined;
    const group = this.#gather(number);
    group.out.raw(fileHeader('journal', number));
    writeFrame(group.out, { kind: 'head', head });
    return group.done;
  }

  /** @throws PosternError `busy`: too much waits for the disk. */
  checkRoom(): void {
    if ((this.#gathering?.out.length ?? 0) > maxPendingBytes) {
      throw new PosternError(
        'busy',
        'changes come faster than the disk of the state directory takes them; try again later',
      );
    }
  }

  /** Appends a frame; resolves when it is durable. After a failure nothing more is written: everything rejects. */
  append(frame: FrameToWrite): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const group = this.#gathering ?? this.#gather();
    writeFrame(group.out, frame);
    return group.done;
  }

  /** Closes the file when everything is written. */
  async close(): Promise<void> {
    await this.#queue.at(-1)?.done.catch(() => {});
    await this.#file?.close();
    this.#file = undefined;
  }

  #gather(begins?: number): Group {
    let settle: Group['settle'] = () => {};
    const done = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Whoever waits for it hears of it; a group without anyone waiting is no reason to end the process.
    done.catch(() => {});
    const group = { out: new ByteWriter(), done, settle, ...(begins !== undefined && { begins }) };
    this.#gathering = group;
    this.#queue.push(group);
    if (!this.#running) {
      this.#running = true;
      queueMicrotask(() => this.#run());
    }
    return group;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue[0]!;
      if (this.#gathering === group) this.#gathering = undefined;
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#write(group);
        this.#queue.shift();
        group.settle();
      } catch (error) {
        this.#failure = error;
        this.#queue.shift();
        group.settle(error);
      }
    }
    this.#running = false;
  }

  async #write(group: Group): Promise<void> {
    if (group.begins !== undefined) {
      const next = await this.disk.create(journalName(group.begins), true);
      await this.#file?.close();
      this.#file = next;
    }
    const startedAt = performance.now();
    await this.#file!.append(group.out.view());
    if (group.begins !== undefined) this.disk.syncNames();
    this.#slowestSyncMs = Math.max(this.#slowestSyncMs * 0.999, performance.now() - startedAt);
    this.#syncs++;
    this.#bytes += group.out.length;
  }
}

export function journalName(number: number): string {
  return `journal-${String(number).padStart(8, '0')}`;
}
