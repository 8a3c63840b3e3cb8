/**
 * An exchange in a thread of its own, so that a big transaction, a failed one or a listing never holds up the event
 * loop. When the thread dies, what it had under way fails with `busy` (its result is unknown), and the next request
 * starts another one.
 */

import { PosternError } from '../errors.js';
import type { NetlinkMessage } from '../wire/netlink.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import { type DumpBounds, type Exchange, KernelRefusal, type ListOptions, type TransactionResult } from './exchange.js';
import { dumpEntries } from './exchange-now.js';
import {
  FD_SLOT,
  type FromThread,
  SHARED_BYTES,
  type ThreadData,
  type ThreadFailure,
  type ToThread,
  WORD,
} from './thread-messages.js';
import { startThread, type WorkerThread } from './worker-thread.js';

/** Larger messages are handed over instead of copied. */
const TRANSFER_BYTES = 8_192;
/** How long a thread may take to end by itself: as long as the kernel holds it in a transaction. */
const CLOSE_MS = 5_000;

interface Pending {
  readonly resolve: (message: FromThread) => void;
  readonly reject: (error: Error) => void;
  readonly take?: (datagram: Uint8Array) => void;
}

interface Thread extends WorkerThread {
  readonly words: Int32Array;
}

export interface ThreadOptions {
  readonly namespace?: string;
  /** Told each time a thread has died that wasn't asked to. */
  readonly died?: (error: PosternError) => void;
}

export function threadExchange(options: ThreadOptions = {}): ThreadExchange {
  return new ThreadExchange(options);
}

export class ThreadExchange implements Exchange {
  #thread: Thread | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;
  /** Threads that died so far. */
  deaths = 0;

  constructor(private readonly options: ThreadOptions) {}

  /** Starts the thread before something is asked of it. Idle, it keeps no process alive. */
  start(): void {
    this.#started();
  }

  async transact(batch: Buffer): Promise<TransactionResult> {
    const answer = await this.#ask({ do: 'transact', bytes: batch });
    if (!('transaction' in answer)) throw unexpected();
    return answer.transaction;
  }

  async request(message: Buffer): Promise<NetlinkMessage[]> {
    const answer = await this.#ask({ do: 'request', bytes: message });
    if (!('answers' in answer)) throw unexpected();
    return answer.answers.map((one) => ({
      ...one,
      body: Buffer.from(one.body.buffer, one.body.byteOffset, one.body.length),
    }));
  }

  async dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void> {
    const seq = message.readUInt32LE(8);
    const id = this.#nextId;
    let stop: ((error?: unknown) => void) | undefined;
    const stopped = new Promise<void>((resolve, reject) => {
      stop = (error) => (error === undefined ? resolve() : reject(error));
    });
    const takeDatagram = (bytes: Uint8Array) => {
      try {
        if (!take(dumpEntries(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), seq))) stop?.();
      } catch (error) {
        stop?.(error);
      }
    };
    try {
      await Promise.race([this.#ask({ do: 'dump', bytes: message, bounds }, takeDatagram), stopped]);
    } finally {
      if (this.#forget(id) && this.#thread !== undefined) this.#post({ id, do: 'stop' });
    }
  }

  async list(message: Buffer, bounds: DumpBounds, how: ListOptions): Promise<PackedElements> {
    const answer = await this.#ask({ do: 'list', bytes: message, bounds, how });
    if (!('elements' in answer)) throw unexpected();
    return answer.elements;
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#pending.size === 0;
  }

  /** Waits for what is under way, then ends the thread. */
  async close(): Promise<void> {
    this.#closed = true;
    const thread = this.#thread;
    if (thread === undefined) return;
    keepAlive(thread);
    this.#post({ id: 0, do: 'close' });
    const patience = setTimeout(() => void thread.worker.terminate(), CLOSE_MS);
    await thread.ended;
    clearTimeout(patience);
  }

  /** Ends the thread as a crash would. */
  async kill(): Promise<void> {
    await this.#thread?.worker.terminate();
  }

  #ask(wish: Wish, take?: (datagram: Uint8Array) => void): Promise<FromThread> {
    if (this.#closed) return Promise.reject(new PosternError('busy', 'the netlink thread is closed'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) keepAlive(this.#started());
      this.#pending.set(id, { resolve, reject, ...(take === undefined ? {} : { take }) });
      this.#post({ ...wish, id });
    });
  }

  #post(message: ToThread): void {
    const { port, words } = this.#started();
    if (!('bytes' in message)) port.postMessage(message);
    else if (message.bytes.length > TRANSFER_BYTES) port.postMessage(message, [message.bytes.buffer as ArrayBuffer]);
    // A copy of a view would copy the whole memory behind it.
    else port.postMessage({ ...message, bytes: Uint8Array.from(message.bytes) });
    Atomics.add(words, WORD.POSTED, 1);
    Atomics.notify(words, WORD.POSTED);
  }

  #started(): Thread {
    this.#thread ??= this.#start();
    return this.#thread;
  }

  #start(): Thread {
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    const { namespace } = this.options;
    const started = startThread<ThreadData>({
      module: new URL('./nf-worker.js', import.meta.url),
      sockets: Object.keys(FD_SLOT).length,
      data: { shared, ...(namespace === undefined ? {} : { namespace }) },
      ended: (reason) => this.#ended(thread, reason),
    });
    const thread: Thread = { ...started, words: new Int32Array(shared) };
    thread.port.on('message', (message: FromThread) => this.#told(thread, message));
    letGo(thread);
    return thread;
  }

  #told(thread: Thread, message: FromThread): void {
    const pending = this.#pending.get(message.id);
    if (pending?.take === undefined) this.#answer(pending, message);
    // One turn of the event loop for each part of a listing: the port would hand over one after the other forever.
    else setImmediate(() => this.#takePart(thread, pending, message));
  }

  #takePart(thread: Thread, pending: Pending, message: FromThread): void {
    if ('datagram' in message) {
      Atomics.add(thread.words, WORD.TAKEN, 1);
      if (this.#pending.has(message.id)) pending.take?.(message.datagram);
    } else if (this.#pending.has(message.id)) {
      this.#answer(pending, message);
    }
  }

  #answer(pending: Pending | undefined, message: FromThread): void {
    this.#forget(message.id);
    if ('failed' in message) pending?.reject(revived(message.failed));
    else pending?.resolve(message);
  }

  /** Answers whether it was still pending. */
  #forget(id: number): boolean {
    const was = this.#pending.delete(id);
    if (this.#pending.size === 0 && this.#thread !== undefined) letGo(this.#thread);
    return was;
  }

  #ended(thread: Thread, reason: unknown): void {
    if (this.#thread === thread) this.#thread = undefined;
    thread.port.close();
    if (this.#closed && this.#pending.size === 0) return;
    this.deaths++;
    const error = new PosternError('busy', 'the netlink thread ended, so the result is unknown', { cause: reason });
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of lost) reject(error);
    this.options.died?.(error);
  }
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type Wish = WithoutId<Exclude<ToThread, { do: 'stop' | 'close' }>>;

/** While an answer is awaited the process must not end. */
function keepAlive({ worker, port }: Thread): void {
  worker.ref();
  port.ref();
}

/** An idle thread must not keep a command alive that forgot to close it. */
function letGo({ worker, port }: Thread): void {
  worker.unref();
  port.unref();
}

function revived({ code, message, acknowledgement }: ThreadFailure): PosternError {
  return acknowledgement === undefined ? new PosternError(code, message) : new KernelRefusal(acknowledgement);
}

function unexpected(): PosternError {
  return new PosternError('internal', 'the netlink thread answered another question');
}
