/**
 * HTTP/1.1 over a UNIX socket, as much of it as our own server speaks (RFC 9112). Loading node:http would take a third of
 * a command's time.
 */

import { createConnection, type Socket } from 'node:net';

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is sent no faster than it is taken. */
  readonly body?: string | AsyncIterable<string>;
}

export interface HttpResponse {
  readonly status: number;
  /** To be read to its end, or ended by `return`: the connection closes then. */
  readonly body: AsyncGenerator<Buffer>;
}

const maxHeadBytes = 16 * 1024;

/**
 * Sends a request on a connection of its own and answers when the head of the response is there.
 * @param idleMs longest silence of the other side; none when absent
 * @throws errors of the socket, of the body that was given, and SyntaxError for what is no HTTP.
 */
export async function exchange(socketPath: string, request: HttpRequest, idleMs?: number): Promise<HttpResponse> {
  const socket = createConnection(socketPath);
  if (idleMs !== undefined) socket.setTimeout(idleMs, () => socket.destroy(idle(idleMs)));
  const sending = send(socket, request);
  // What keeps the request from being sent keeps the answer from coming, too: it is told there.
  sending.catch((error: Error) => socket.destroy(error));
  try {
    return await readResponse(socket, () => socket.destroy());
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function idle(idleMs: number): Error {
  return Object.assign(new Error(`no answer for ${idleMs / 1000} s`), { code: 'ETIMEDOUT' });
}

async function send(socket: Socket, { method, path, headers, body }: HttpRequest): Promise<void> {
  const lines = Object.entries({ host: 'postern', ...headers, ...framing(body) }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const head = `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
  if (body === undefined || typeof body === 'string') {
    socket.write(head + (body ?? ''));
    return;
  }
  socket.write(head);
  for await (const text of body) {
    if (text === '') continue;
    const taken = socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
    if (!taken) await writable(socket);
    // The answer was read to its end: it was a refusal, and the rest isn't wanted.
    if (socket.destroyed) return;
  }
  socket.write('0\r\n\r\n');
}

function framing(body: HttpRequest['body']): Record<string, string> {
  if (body === undefined) return {};
  if (typeof body === 'string') return { 'content-length': String(Buffer.byteLength(body)) };
  return { 'transfer-encoding': 'chunked' };
}

/** Settles when more may be written, or never will be. */
function writable(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle);
      socket.off('close', settle);
      resolve();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
  });
}

/**
 * Reads a response from the pieces in which it comes.
 * @param done is called when the body was read to its end, or its reader has left.
 * @throws SyntaxError when it is no response or is cut short.
 */
export async function readResponse(pieces: AsyncIterable<Buffer>, done: () => void): Promise<HttpResponse> {
  const input = new Input(pieces[Symbol.asyncIterator]());
  const head = await input.until('\r\n\r\n', maxHeadBytes);
  const [first = '', ...lines] = head.split('\r\n');
  const [, status] = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(first) ?? [];
  if (status === undefined) throw new SyntaxError('the answer is not HTTP');
  const headers = new Map(lines.map((line) => headerOf(line)));
  return { status: Number(status), body: bodyOf(input, Number(status), headers, done) };
}

function headerOf(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

async function* bodyOf(
  input: Input,
  status: number,
  headers: ReadonlyMap<string, string>,
  done: () => void,
): AsyncGenerator<Buffer> {
  try {
    const length = headers.get('content-length');
    if (status === 204) return;
    if (headers.get('transfer-encoding') === 'chunked') yield* chunked(input);
    else if (length !== undefined) yield* input.take(Number(length));
    else yield* input.rest();
  } finally {
    done();
  }
}

const maxSizeLine = 256;

async function* chunked(input: Input): AsyncGenerator<Buffer> {
  for (;;) {
    const size = Number.parseInt(await input.until('\r\n', maxSizeLine), 16);
    if (Number.isNaN(size)) throw new SyntaxError('the answer is not HTTP');
    if (size === 0) return;
    yield* input.take(size);
    await input.until('\r\n', maxSizeLine);
  }
}

/** Bytes as they come, handed out as they are asked for. */
class Input {
  #waiting: Buffer = Buffer.alloc(0);

  constructor(readonly pieces: AsyncIterator<Buffer>) {}

  /** The text before the mark, which is skipped. */
  async until(mark: string, maxBytes: number): Promise<string> {
    for (;;) {
      const end = this.#waiting.indexOf(mark);
      if (end >= 0) {
        const text = this.#waiting.toString('latin1', 0, end);
        this.#waiting = this.#waiting.subarray(end + mark.length);
        return text;
      }
      if (this.#waiting.length > maxBytes) throw new SyntaxError('the answer is not HTTP');
      this.#waiting = Buffer.concat([this.#waiting, await this.#next()]);
    }
  }

  async *take(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      if (this.#waiting.length === 0) this.#waiting = await this.#next();
      const piece = this.#waiting.subarray(0, left);
      this.#waiting = this.#waiting.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async *rest(): AsyncGenerator<Buffer> {
    if (this.#waiting.length > 0) yield this.#waiting;
    for (;;) {
      const { done, value } = await this.pieces.next();
      if (done === true) return;
      yield value;
    }
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.pieces.next();
    if (done === true) throw new SyntaxError('the answer is cut short');
    return value;
  }
}
