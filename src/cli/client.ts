/** How commands talk to the daemon: HTTP over its UNIX socket, and nothing heavier to load than node:http. */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type ErrorBody, PosternError } from '../errors.js';
import type { Call } from './command.js';
import { defaultSocket } from './defaults.js';

export const ndjsonType = 'application/x-ndjson';

/** Options of every command that talks to the daemon. */
export const daemonOptions = {
  socket: { type: 'string', value: 'PATH', help: `socket of the daemon; POSTERN_SOCKET, or ${defaultSocket}` },
} as const;

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface Daemon {
  readonly socket: string;
  /** The JSON of the answer. @throws PosternError what the daemon answered, or `unreachable`. */
  ask<T>(method: Method, path: string, body?: unknown): Promise<T>;
  /** The answer as text. */
  askText(method: Method, path: string): Promise<string>;
  /** Sends a body line by line, no faster than it is taken. */
  feed<T>(method: Method, path: string, lines: AsyncIterable<string>): Promise<T>;
  /** The lines of the answer. */
  follow(path: string): AsyncGenerator<string>;
}

export function daemonOf({ values, io }: Pick<Call<typeof daemonOptions>, 'values' | 'io'>): Daemon {
  return daemonAt(values.socket ?? io.env.POSTERN_SOCKET ?? defaultSocket);
}

export function daemonAt(socket: string): Daemon {
  const send = (method: Method, path: string, body?: Body) => exchange(socket, method, path, body);
  return {
    socket,
    async ask<T>(method: Method, path: string, body?: unknown) {
      const json = body === undefined ? undefined : { type: 'application/json', content: JSON.stringify(body) };
      const text = await textOf(await send(method, path, json));
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async askText(method, path) {
      return textOf(await send(method, path));
    },
    async feed<T>(method: Method, path: string, lines: AsyncIterable<string>) {
      return JSON.parse(await textOf(await send(method, path, { type: ndjsonType, content: lines }))) as T;
    },
    async *follow(path) {
      yield* linesOf(await send('GET', path));
    },
  };
}

/** Does a daemon answer? @throws PosternError when that can't be known. */
export async function daemonAnswers(daemon: Daemon): Promise<boolean> {
  try {
    await daemon.ask('GET', '/healthz');
    return true;
  } catch (error) {
    if (error instanceof PosternError && error.code === 'unreachable') return false;
    throw error;
  }
}

interface Body {
  readonly type: string;
  readonly content: string | AsyncIterable<string>;
}

async function exchange(socketPath: string, method: Method, path: string, body?: Body): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers: Record<string, string> = {
      accept: `${ndjsonType}, application/json`,
      // Else a daemon that refuses a long body closes, and its answer is lost while the rest is being sent.
      connection: 'keep-alive',
      'x-postern-client': 'cli',
    };
    // Said here, because Node adds neither to a DELETE.
    if (typeof body?.content === 'string') headers['content-length'] = String(Buffer.byteLength(body.content));
    else if (body !== undefined) headers['transfer-encoding'] = 'chunked';
    if (body !== undefined) headers['content-type'] = body.type;
    const request = httpRequest({ socketPath, method, path, headers, agent: false });
    request.once('response', (response) => {
      response.once('close', () => request.destroy());
      resolve(response);
    });
    // Stays: what goes wrong after the answer is the answer's business.
    request.on('error', (error) => reject(unreachable(socketPath, error)));
    if (body === undefined || typeof body.content === 'string') request.end(body?.content);
    else {
      const source = Readable.from(body.content, { objectMode: false });
      source.on('error', (error) => {
        request.destroy();
        reject(error);
      });
      source.pipe(request);
    }
  });
  const status = response.statusCode ?? 0;
  if (status >= 400) throw refusal(status, await textOf(response));
  return response;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of chunksOf(response)) text += chunk;
  return text;
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunksOf(response)) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

async function* chunksOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  try {
    yield* response as AsyncIterable<string>;
  } catch (error) {
    throw new PosternError('unreachable', `the daemon broke off (${(error as Error).message}): see its log`, {
      cause: error,
    });
  }
}

function refusal(status: number, text: string): PosternError {
  try {
    const { code, message, details } = (JSON.parse(text) as ErrorBody).error;
    return new PosternError(code, message, { details });
  } catch {
    return new PosternError('internal', `the daemon answered ${status} in a form that isn't ours: is it Postern?`);
  }
}

function unreachable(socket: string, error: NodeJS.ErrnoException): PosternError {
  if (error.code === 'EACCES') {
    return new PosternError('forbidden', `may not open ${socket}: run this as root or as a member of its group`);
  }
  const none = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
  const why = none ? `no daemon answers at ${socket}` : `the daemon at ${socket} broke off (${error.message})`;
  const next = none ? "start it with 'postern run --policy FILE', or name its socket with --socket" : 'see its log';
  return new PosternError('unreachable', `${why}: ${next}`, { cause: error });
}
