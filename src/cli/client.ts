/** How commands talk to the daemon. Every command pays for what this loads. */

import { type ErrorBody, PosternError } from '../errors.js';
import type { Call } from './command.js';
import { defaultSocket } from './defaults.js';
import { exchange } from './http.js';

export const ndjsonType = 'application/x-ndjson';

/** Options of every command that talks to the daemon. */
export const daemonOptions = {
  socket: { type: 'string', value: 'PATH', help: `socket of the daemon; POSTERN_SOCKET, or ${defaultSocket}` },
} as const;

/** A reload of a large policy takes seconds; what takes longer than this hangs. */
const longestIdleMs = 150_000;

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

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
  const send = (method: Method, path: string, body?: Body) =>
    answerOf(socket, { method, path, ...body }, longestIdleMs);
  return {
    socket,
    async ask<T>(method: Method, path: string, body?: unknown) {
      const text = await textOf(await send(method, path, body === undefined ? undefined : jsonBody(body)));
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async askText(method, path) {
      return textOf(await send(method, path));
    },
    async feed<T>(method: Method, path: string, lines: AsyncIterable<string>) {
      return JSON.parse(await textOf(await send(method, path, { type: ndjsonType, body: lines }))) as T;
    },
    async *follow(path) {
      yield* linesOf(await answerOf(socket, { method: 'GET', path }));
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
  readonly body: string | AsyncIterable<string>;
}

function jsonBody(value: unknown): Body {
  return { type: 'application/json', body: JSON.stringify(value) };
}

interface Question extends Partial<Body> {
  readonly method: Method;
  readonly path: string;
}

/** The body of the answer. @throws PosternError what the daemon answered, or why it couldn't be asked. */
async function answerOf(
  socket: string,
  { method, path, type, body }: Question,
  idleMs?: number,
): Promise<AsyncGenerator<Buffer>> {
  const headers = {
    accept: `${ndjsonType}, application/json`,
    'x-postern-client': 'cli',
    ...(type !== undefined && { 'content-type': type }),
  };
  try {
    const response = await exchange(socket, { method, path, headers, ...(body !== undefined && { body }) }, idleMs);
    const answer = reading(socket, response.body);
    if (response.status < 400) return answer;
    throw refusal(response.status, await textOf(answer));
  } catch (error) {
    throw unreachable(socket, error);
  }
}

async function* reading(socket: string, body: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw unreachable(socket, error);
  }
}

async function textOf(answer: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

async function* linesOf(answer: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of answer) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function refusal(status: number, text: string): PosternError {
  try {
    const { code, message, details } = (JSON.parse(text) as ErrorBody).error;
    return new PosternError(code, message, { details });
  } catch {
    return new PosternError('internal', `the daemon answered ${status} in a form that isn't ours: is it Postern?`);
  }
}

/** Why there is no answer. Errors of ours stay as they are. */
function unreachable(socket: string, thrown: unknown): PosternError {
  if (thrown instanceof PosternError) return thrown;
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'EACCES') {
    return new PosternError('forbidden', `may not open ${socket}: run this as root or as a member of its group`);
  }
  if (error.code === 'ETIMEDOUT') {
    return new PosternError('timeout', `the daemon at ${socket} is silent (${error.message}): see its log`);
  }
  const none = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
  const why = none ? `no daemon answers at ${socket}` : `the daemon at ${socket} broke off (${error.message})`;
  const next = none ? "start it with 'postern run --policy FILE', or name its socket with --socket" : 'see its log';
  return new PosternError('unreachable', `${why}: ${next}`, { cause: error });
}
