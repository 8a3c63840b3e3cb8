/** Bodies that hold one item, a list of items, or a stream of them, one a line. */

import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { type ChangeCount, nothingChanged } from '../engine/tables.js';
import { asPosternError, PosternError } from '../errors.js';
import { describe } from './errors.js';
import { jsonLines, type Line, ndjsonType } from './ndjson.js';

/** Items of a JSON list, which is one change; longer lists come as a stream. */
const maxList = 10_000;

/** Items of a stream that are one change. */
export const batchLength = 1000;

/** The schema of such a body. */
export function oneOrMany<S extends TSchema>(item: S) {
  return {
    content: {
      'application/json': { schema: Type.Union([item, Type.Array(item, { maxItems: maxList })]) },
      [ndjsonType]: { schema: Type.Unknown({ description: 'One item a line.' }) },
    },
  };
}

/**
 * The items of a body, each converted, as many at a time as have come; a stream is read no faster than they are taken.
 * @throws PosternError `invalid`, `usage`, `too-large`; of a stream the message says which line it is.
 */
export async function* itemsOf<S extends TSchema, T>(
  request: FastifyRequest,
  schema: S,
  convert: (item: Static<S>) => T,
): AsyncGenerator<Iterable<T>> {
  if (request.body === undefined) throw new PosternError('usage', 'this needs a body: one item, a list, or one a line');
  if (!(request.body instanceof Readable)) {
    yield ([request.body].flat() as Static<S>[]).map(convert);
    return;
  }
  const isItem = request.compileValidationSchema(schema, 'body');
  const items = function* (lines: Iterable<Line>): Generator<T> {
    for (const { number, value } of lines) {
      if (!isItem(value)) throw new PosternError('invalid', describe(`line ${number}`, isItem.errors ?? []));
      yield at(number, () => convert(value as Static<S>));
    }
  };
  for await (const lines of jsonLines(request.body)) yield items(lines);
}

function at<T>(line: number, convert: () => T): T {
  try {
    return convert();
  } catch (thrown) {
    const error = asPosternError(thrown);
    throw new PosternError(error.code, `line ${line}: ${error.message}`, { cause: thrown });
  }
}

/**
 * Changes a list at once, a stream in batches. When a batch fails the ones before it stay; the error's details say
 * what they changed.
 */
export async function changeAll<T>(
  request: FastifyRequest,
  items: AsyncIterable<Iterable<T>>,
  change: (batch: readonly T[]) => Promise<ChangeCount>,
): Promise<ChangeCount> {
  const limit = request.body instanceof Readable ? batchLength : maxList;
  let total = nothingChanged;
  let batch: T[] = [];
  try {
    for await (const some of items) {
      for (const item of some) {
        batch.push(item);
        if (batch.length < limit) continue;
        total = sum(total, await change(batch));
        batch = [];
      }
    }
    return batch.length === 0 ? total : sum(total, await change(batch));
  } catch (thrown) {
    throw total === nothingChanged ? thrown : partly(total, thrown);
  }
}

function partly(applied: ChangeCount, thrown: unknown): PosternError {
  const { code, message, details } = asPosternError(thrown);
  const taken = applied.added + applied.changed + applied.deleted;
  return new PosternError(code, `${message} (${taken} changes before it were made and stay)`, {
    cause: thrown,
    details: { ...(details === undefined ? {} : { reason: details }), applied },
  });
}

function sum(a: ChangeCount, b: ChangeCount): ChangeCount {
  return {
    added: a.added + b.added,
    changed: a.changed + b.changed,
    deleted: a.deleted + b.deleted,
    unchanged: a.unchanged + b.unchanged,
    refused: a.refused + b.refused,
  };
}
