/**
 * The packet worker as the main thread sees it: duties in, events and counters out. A worker that dies is replaced, with
 * the same duties; what they had in memory is lost then, their counters are not.
 */

import { PosternError } from '../errors.js';
import { CallError, EFD, fixedBuffer, lastErrno, libc } from './layouts.js';
import type { DutySpec } from './packet-duty.js';
import {
  COUNTER_BYTES,
  COUNTERS,
  type FromPacketWorker,
  MAX_DUTIES,
  PACKET_FDS,
  type PacketCounters,
  type PacketWorkerData,
  type SENDER_COUNTERS,
  type ToPacketWorker,
} from './packet-messages.js';
import { startThread, type WorkerThread } from './worker-thread.js';

export interface PacketsOptions {
  readonly namespace?: string;
  /** What a duty has to say. */
  readonly event: (duty: string, event: unknown) => void;
  /** The worker has died; another one takes its place. */
  readonly died?: (error: PosternError) => void;
}

export interface Packets {
  /**
   * Replaces all duties; those that stay the same go on undisturbed.
   * @throws PosternError `conflict` (a group is taken, or asked for twice), `full`, `internal` (a duty can't be made),
   *   `system`. The duties are as before then.
   */
  setDuties(duties: readonly DutySpec[]): Promise<void>;
  /** By duty. They only grow; `threshold` is what it is now. */
  counters(): ReadonlyMap<string, PacketCounters>;
  /** Replies that left, and those that the kernel refused or had no room for. */
  sender(): Readonly<Record<(typeof SENDER_COUNTERS)[number], number>>;
  /** Workers that have died so far. */
  readonly deaths: number;
  close(): Promise<void>;
}

/** How long a worker may take to end by itself. */
const CLOSE_MS = 2_000;
/** Pause before a worker that died is replaced, so that one that can't live doesn't take the machine. */
const RESTART_MS = 500;

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: PosternError) => void;
}

/** Starts the worker, without a duty. @throws PosternError `system` */
export function openPackets(options: PacketsOptions): PacketWorker {
  return new PacketWorker(options);
}

export class PacketWorker implements Packets {
  deaths = 0;
  readonly #counters = new SharedArrayBuffer(COUNTER_BYTES);
  readonly #rows = new Map<string, number>();
  readonly #wakeFd: number;
  readonly #one = fixedBuffer(8);
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #duties: readonly DutySpec[] = [];
  #thread: WorkerThread;
  #closed = false;

  constructor(private readonly options: PacketsOptions) {
    this.#one.writeBigUInt64LE(1n);
    this.#wakeFd = libc.eventfd(0, EFD.NONBLOCK | EFD.CLOEXEC);
    if (this.#wakeFd < 0) throw new PosternError('system', new CallError('eventfd', lastErrno()).message);
    this.#thread = this.#start();
  }

  async setDuties(duties: readonly DutySpec[]): Promise<void> {
    const groups = new Set(duties.map(({ group }) => group));
    if (groups.size < duties.length) throw new PosternError('conflict', 'two duties want the same NFLOG group');
    const placed = this.#place(duties);
    await this.#ask({ do: 'duties', duties: placed });
    this.#duties = duties;
  }

  counters(): ReadonlyMap<string, PacketCounters> {
    const found = new Map<string, PacketCounters>();
    for (const { name } of this.#duties) {
      const values = this.#row(this.#rows.get(name) ?? 0);
      found.set(
        name,
        Object.fromEntries(COUNTERS.map((counter, index) => [counter, values[index]])) as unknown as PacketCounters,
      );
    }
    return found;
  }

  sender(): Readonly<Record<(typeof SENDER_COUNTERS)[number], number>> {
    const values = this.#row(MAX_DUTIES);
    return { sent: values[0] as number, sendFailed: values[1] as number };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { worker, ended } = this.#thread;
    this.#post({ id: 0, do: 'close' });
    const patience = setTimeout(() => void worker.terminate(), CLOSE_MS);
    worker.ref();
    await ended;
    clearTimeout(patience);
    libc.close(this.#wakeFd);
  }

  /** Ends the worker as a crash would. */
  async kill(): Promise<void> {
    await this.#thread.worker.terminate();
  }

  #row(row: number): Float64Array {
    return new Float64Array(this.#counters, row * COUNTERS.length * 8, COUNTERS.length);
  }

  /** Gives each duty a row of its own; rows of duties that are gone are used again. */
  #place(duties: readonly DutySpec[]): { duty: DutySpec; row: number }[] {
    if (duties.length > MAX_DUTIES) throw new PosternError('full', `${duties.length} duties; at most ${MAX_DUTIES}`);
    const wanted = new Set(duties.map(({ name }) => name));
    if (wanted.size < duties.length) throw new PosternError('conflict', 'two duties have the same name');
    const used = new Set([...this.#rows.values()]);
    return duties.map((duty) => {
      const row = this.#rows.get(duty.name) ?? this.#freeRow(used, wanted);
      used.add(row);
      this.#rows.set(duty.name, row);
      return { duty, row };
    });
  }

  #freeRow(used: ReadonlySet<number>, wanted: ReadonlySet<string>): number {
    for (let row = 0; row < MAX_DUTIES; row++) if (!used.has(row)) return row;
    for (const [name, row] of this.#rows) {
      if (wanted.has(name)) continue;
      this.#rows.delete(name);
      this.#row(row).fill(0);
      return row;
    }
    throw new PosternError('internal', 'no row for a duty');
  }

  #ask(wish: { readonly do: 'duties'; readonly duties: readonly { duty: DutySpec; row: number }[] }): Promise<void> {
    if (this.#closed) return Promise.reject(new PosternError('busy', 'the packet worker is closed'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) this.#thread.worker.ref();
      this.#pending.set(id, { resolve, reject });
      this.#post({ ...wish, id });
    });
  }

  #post(message: ToPacketWorker): void {
    this.#thread.port.postMessage(message);
    libc.write(this.#wakeFd, this.#one, 8);
  }

  #start(): WorkerThread {
    const { namespace } = this.options;
    const thread = startThread<PacketWorkerData>({
      module: new URL('./packet-worker.js', import.meta.url),
      sockets: PACKET_FDS,
      data: {
        wakeFd: this.#wakeFd,
        counters: this.#counters,
        ...(namespace === undefined ? {} : { namespace }),
      },
      ended: (reason) => this.#ended(reason),
    });
    const { worker, port } = thread;
    port.on('message', (message: FromPacketWorker) => this.#told(message));
    // The worker runs for the daemon's sake, not the other way round.
    port.unref();
    worker.unref();
    return thread;
  }

  #told(message: FromPacketWorker): void {
    if ('events' in message) {
      for (const { duty, event } of message.events) this.options.event(duty, event);
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#thread.worker.unref();
    if ('done' in message) pending?.resolve();
    else pending?.reject(new PosternError(message.failed.code, message.failed.message));
  }

  #ended(reason: unknown): void {
    this.#thread.port.close();
    const text = reason instanceof Error ? reason.message : 'it ended by itself';
    const error =
      reason instanceof PosternError
        ? reason
        : new PosternError('system', `the packet worker died: ${text}`, { cause: reason });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    if (this.#closed) return;
    this.deaths++;
    this.options.died?.(error);
    setTimeout(() => this.#restart(), RESTART_MS).unref();
  }

  #restart(): void {
    if (this.#closed) return;
    this.#thread = this.#start();
    this.setDuties(this.#duties).catch((error: unknown) => {
      if (error instanceof PosternError) this.options.died?.(error);
    });
  }
}
