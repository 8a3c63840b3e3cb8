/** The API as a fastify server: limits, errors, access, description, routes. One for each listener. */

import type { Server } from 'node:http';
import fastify, { type FastifyBaseLogger, type FastifyServerOptions } from 'fastify';
import { errorBody, PosternError } from '../errors.js';
import type { Api, ApiParts } from './api.js';
import { answerErrors, fromFastify } from './errors.js';
import { type GuardOptions, guard } from './guard.js';
import { limits } from './limits.js';
import { ndjsonType } from './ndjson.js';
import { openApi } from './openapi.js';
import { allRoutes } from './routes/all.js';

export interface ApiOptions {
  /** For a TCP listener; without it everyone who reaches the server is let in. */
  readonly guard?: Omit<GuardOptions, 'now'>;
}

export async function createApi(parts: ApiParts, options: ApiOptions = {}): Promise<Api> {
  const api: Api = fastify(serverOptions);
  api.server.maxConnections = limits.connections;
  api.server.headersTimeout = limits.headersMs;

  api.removeContentTypeParser('text/plain');
  // The stream itself, to be read line by line; its bound is that of a line.
  api.addContentTypeParser(ndjsonType, (_request, payload, done) => done(null, payload));
  answerErrors(api, parts.log);
  api.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
  });
  if (options.guard !== undefined) guard(api, { ...options.guard, now: parts.now });
  await openApi(api, parts.version);
  for (const routes of allRoutes) routes(api, parts);
  return api;
}

const serverOptions: FastifyServerOptions<Server, FastifyBaseLogger> = {
  logger: false,
  bodyLimit: limits.bodyBytes,
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.idleMs,
  handlerTimeout: limits.answerMs,
  forceCloseConnections: 'idle',
  return503OnClosing: true,
  routerOptions: { maxParamLength: 128 },
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
  // A request that never became one (malformed URL): no error handler sees it.
  frameworkErrors: (error, _request, reply) => {
    const known = fromFastify(error);
    reply.raw.writeHead(known.httpStatus, { 'content-type': 'application/json' }).end(JSON.stringify(errorBody(known)));
  },
  clientErrorHandler: (error, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    const slow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const known = new PosternError(slow ? 'timeout' : 'usage', slow ? 'the request took too long' : 'this is not HTTP');
    const body = JSON.stringify(errorBody(known));
    const status = slow ? '408 Request Timeout' : '400 Bad Request';
    const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
    socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
  },
};
