/** The scratch host behind `Scratch`: a worker thread in a namespace of its own, and questions to it as messages. */

import { Worker } from 'node:worker_threads';
import { PosternError } from '../errors.js';
import type { FromScratch, ToScratch } from './scratch/messages.js';
import type { Answer, BuildReport, Injection, RawRun, Scratch, ScratchHost, ScratchSocket } from './scratch.js';

/**
 * Starts the thread of a scratch host.
 * @throws PosternError `forbidden` when this process may not make namespaces.
 */
export async function openScratch(): Promise<Scratch> {
  const thread = new ScratchThread();
  await thread.ready();
  return thread;
}

/** Without its unused half: `Omit` would take the union apart into one that fits nothing. */
type Request = ToScratch extends infer T ? (T extends { id: number } ? Omit<T, 'id'> : never) : never;

class ScratchThread implements Scratch {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve(message: FromScratch): void; reject(error: Error): void }>();
  #nextId = 1;
  #ended: PosternError | undefined;

  constructor() {
    this.#worker = new Worker(new URL('./scratch/thread.cjs', import.meta.url));
    this.#worker.on('message', (message: FromScratch) => this.#take(message));
    this.#worker.on('error', (cause) => this.#end(new PosternError('internal', `scratch host: ${cause}`, { cause })));
    this.#worker.on('exit', () => this.#end(new PosternError('busy', 'the scratch host has ended')));
    // Only what was asked for keeps the process alive.
    this.#worker.unref();
  }

  async ready(): Promise<void> {
    await this.#ask({ do: 'open' });
  }

  async build(host: ScratchHost): Promise<BuildReport> {
    const answer = await this.#ask({ do: 'build', host });
    return { problems: 'problems' in answer ? answer.problems : [] };
  }

  async load(text: string): Promise<void> {
    await this.#ask({ do: 'load', text });
  }

  async listen(groups: readonly number[]): Promise<void> {
    await this.#ask({ do: 'listen', groups });
  }

  async serve(sockets: readonly ScratchSocket[]): Promise<void> {
    await this.#ask({ do: 'serve', sockets });
  }

  async exchange(protocol: 'NETFILTER' | 'ROUTE', messages: readonly Uint8Array[]): Promise<readonly Answer[]> {
    const answer = await this.#ask({ do: 'exchange', protocol, messages });
    return 'answers' in answer ? answer.answers.map(withBuffers) : [];
  }

  async inject(packets: readonly Injection[]): Promise<readonly RawRun[]> {
    const answer = await this.#ask({ do: 'inject', packets });
    return 'runs' in answer ? answer.runs : [];
  }

  dispose(): void {
    if (this.#ended !== undefined) return;
    this.#end(new PosternError('busy', 'the scratch host was disposed of'));
    this.#worker.postMessage({ id: 0, do: 'dispose' } satisfies ToScratch);
  }

  #ask(request: Request): Promise<FromScratch> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  #take(message: FromScratch): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (pending === undefined) return;
    if ('failed' in message) pending.reject(new PosternError(message.failed.code, message.failed.message));
    else pending.resolve(message);
  }

  #end(error: PosternError): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
    this.#worker.unref();
  }
}

/** Buffers come out of a message as plain byte arrays. */
function withBuffers(answer: Answer): Answer {
  const messages = answer.messages.map((message) => ({
    ...message,
    body: Buffer.from(message.body.buffer, message.body.byteOffset, message.body.length),
  }));
  return { ...answer, messages };
}
