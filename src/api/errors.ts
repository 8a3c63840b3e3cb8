/** Every failure of a request leaves in the one shape of the error catalogue. */

import type { FastifyError, FastifyInstance, FastifySchemaValidationError } from 'fastify';
import { asPosternError, type ErrorCode, errorBody, PosternError } from '../errors.js';
import type { Log } from '../services/service.js';
import { ndjsonType } from './ndjson.js';

/** What fastify calls it, and what it is to us. */
const codes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_VALIDATION: 'invalid',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'usage',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'usage',
  FST_ERR_CTP_INVALID_JSON_BODY: 'usage',
  FST_ERR_BAD_URL: 'usage',
  FST_ERR_MAX_PARAM_LENGTH: 'usage',
  FST_ERR_HANDLER_TIMEOUT: 'timeout',
};

/** What the operator should hear of, beside the caller. */
const failures: ReadonlySet<ErrorCode> = new Set(['kernel', 'system', 'damaged', 'timeout', 'internal']);

/** Takes over how errors are answered. Defects and failures of the machine are logged, too. */
export function answerErrors(api: FastifyInstance, log: Log): void {
  api.setErrorHandler((thrown, request, reply) => {
    const error = fromFastify(thrown as FastifyError);
    if (failures.has(error.code)) log.error(`${request.method} ${request.url}: ${error.message}`, { code: error.code });
    if (error.code === 'internal') log.error(stackOf(error));
    if (error.code === 'unauthorized') reply.header('www-authenticate', 'Bearer realm="postern"');
    return reply
      .code(error.httpStatus)
      .type('application/json')
      .send(JSON.stringify(errorBody(error)));
  });
  api.setNotFoundHandler((request) => {
    throw new PosternError('not-found', `no route ${request.method} ${pathOf(request.url)}: see /v1/openapi.json`);
  });
}

/** Turns what fastify throws into one of ours; ours stay as they are. */
export function fromFastify(thrown: FastifyError): PosternError {
  if (thrown.validation !== undefined) {
    const where = thrown.validationContext ?? 'request';
    return new PosternError('invalid', describe(where, thrown.validation), { cause: thrown });
  }
  if (thrown.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new PosternError('usage', `the body must be application/json or ${ndjsonType}`, { cause: thrown });
  }
  const code = typeof thrown.code === 'string' ? codes[thrown.code] : undefined;
  if (code !== undefined) return new PosternError(code, thrown.message, { cause: thrown });
  if (typeof thrown.statusCode === 'number' && thrown.statusCode < 500 && !(thrown instanceof PosternError)) {
    return new PosternError('usage', thrown.message, { cause: thrown });
  }
  return asPosternError(thrown);
}

/** `body[3]: unknown key 'tiemout'`. Of the complaints about alternatives the one furthest inside tells most. */
export function describe(where: string, complaints: readonly FastifySchemaValidationError[]): string {
  const [first] = [...complaints].sort((a, b) => depth(b) - depth(a));
  if (first === undefined) return `${where} is not as described in /v1/openapi.json`;
  const place = `${where}${first.instancePath.replace(/\/(\d+)/g, '[$1]').replaceAll('/', '.')}`;
  const { additionalProperty, missingProperty } = first.params as Record<string, string | undefined>;
  if (additionalProperty !== undefined) return `${place}: unknown key '${additionalProperty}'`;
  if (missingProperty !== undefined) return `${place}: '${missingProperty}' is missing`;
  return `${place}: ${first.message ?? 'is not as described in /v1/openapi.json'}`;
}

function depth({ instancePath, keyword }: FastifySchemaValidationError): number {
  const specific = keyword === 'type' || keyword === 'anyOf' ? 0 : 1;
  return instancePath.split('/').length * 2 + specific;
}

function pathOf(url: string): string {
  return url.split('?', 1)[0]!;
}

function stackOf(error: PosternError): string {
  const origin = error.cause instanceof Error ? error.cause : error;
  return origin.stack ?? origin.message;
}
