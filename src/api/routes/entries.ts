/** `/v1/tables/:table/entries`: one entry, a list of them, or a stream of 100,000. */

import { type Static, Type } from 'typebox';
import { EntryList } from '../../engine/entry-list.js';
import type { EntryView } from '../../engine/tables.js';
import { PosternError } from '../../errors.js';
import { parsePrefix } from '../../net/prefix.js';
import type { Api, ApiParts } from '../api.js';
import { batchLength, changeAll, itemsOf, oneOrMany } from '../bulk.js';
import { callerOf } from '../caller.js';
import { entryOf, entryOutput } from '../entries.js';
import { limits } from '../limits.js';
import { ndjsonType, streamOf } from '../ndjson.js';
import { AddressInput, Changes, EntryInput, EntryOutput, TableName } from '../schemas.js';

/** Entries of a stream that replaces a table: they are held until all are there. */
const maxReplacement = 1_000_000;

const path = '/v1/tables/:table/entries';

export function entryRoutes(api: Api, { engine: { tables } }: ApiParts): void {
  const common = { tags: ['entries'], params: TableName };

  api.get(
    path,
    {
      schema: {
        ...common,
        summary: 'All entries, in address order',
        description: `With \`Accept: ${ndjsonType}\` one entry a line.`,
        response: { 200: entriesResponse },
      },
      handlerTimeout: limits.streamMs,
    },
    async (request, reply) => {
      const entries = await tables.show(request.params.table);
      const toJson: EntryJson = reply.compileSerializationSchema(entryShape);
      const asLines = request.headers.accept?.includes(ndjsonType) === true;
      return reply
        .type(asLines ? ndjsonType : 'application/json')
        .send(streamOf(asLines ? entryLines(entries, toJson) : entryList(entries, toJson)));
    },
  );

  api.post(
    path,
    {
      schema: {
        ...common,
        summary: 'Add entries; one that is there gets the new timeout and comment',
        description: `A stream is added in batches of ${batchLength}: at an error the batches before it stay.`,
        body: oneOrMany(EntryInput),
        response: { 200: Changes },
      },
      handlerTimeout: limits.streamMs,
    },
    (request) =>
      changeAll(request, itemsOf(request, EntryInput, entryOf), (batch) =>
        tables.add(request.params.table, batch, callerOf(request)),
      ),
  );

  api.delete(
    path,
    {
      schema: { ...common, summary: 'Delete entries', body: oneOrMany(AddressInput), response: { 200: Changes } },
      handlerTimeout: limits.streamMs,
    },
    (request) =>
      changeAll(request, itemsOf(request, AddressInput, prefixOf), (batch) =>
        tables.delete(request.params.table, batch, callerOf(request)),
      ),
  );

  api.put(
    path,
    {
      schema: {
        ...common,
        summary: 'Replace the contents: exactly these entries and those of the policy, in one step',
        body: oneOrMany(EntryInput),
        response: { 200: Changes },
      },
      handlerTimeout: limits.streamMs,
    },
    async (request) => {
      const entries = new EntryList();
      for await (const some of itemsOf(request, EntryInput, entryOf)) {
        for (const entry of some) entries.add(entry);
        if (entries.size > maxReplacement) {
          throw new PosternError('too-large', `a table can't be replaced with more than ${maxReplacement} entries`);
        }
      }
      return tables.replace(request.params.table, entries, callerOf(request));
    },
  );
}

/** Not a type for the handler: it answers a stream. */
const entriesResponse: object = {
  description: 'The entries.',
  content: {
    'application/json': { schema: Type.Object({ entries: Type.Array(EntryOutput) }) },
    [ndjsonType]: { schema: EntryOutput },
  },
};

function prefixOf({ address }: Static<typeof AddressInput>) {
  return parsePrefix(address);
}

const entryShape = { ...EntryOutput };

type EntryJson = (entry: Static<typeof EntryOutput>) => string;

function* entryLines(entries: Iterable<EntryView>, toJson: EntryJson): Generator<string> {
  for (const entry of entries) yield `${toJson(entryOutput(entry))}\n`;
}

function* entryList(entries: Iterable<EntryView>, toJson: EntryJson): Generator<string> {
  let separator = '{"entries":[';
  for (const entry of entries) {
    yield `${separator}${toJson(entryOutput(entry))}`;
    separator = ',';
  }
  yield separator === ',' ? ']}' : `${separator}]}`;
}
