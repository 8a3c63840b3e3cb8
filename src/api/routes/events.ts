/** `/v1/events`: what happens, as server-sent events (WHATWG HTML, section 9.2). */

import { PassThrough } from 'node:stream';
import { Type } from 'typebox';
import type { EngineEvents } from '../../engine/engine.js';
import type { Api, ApiParts } from '../api.js';
import { limits } from '../limits.js';
import { LongStreams } from '../long-streams.js';

/** Readers at a time. */
const maxReaders = 32;

/** What a reader that doesn't read may have waiting; beyond it events are dropped and counted for it. */
const maxWaitingBytes = 256 * 1024;

/** A comment line this often tells a reader (and what stands between) that the connection lives. */
const keepAliveMs = 15_000;

const kinds = [
  'table',
  'knock',
  'condition',
  'quota',
  'policy',
  'drift',
  'unknown',
  'clock',
  'trouble',
] as const satisfies readonly (keyof EngineEvents)[];

export function eventRoutes(api: Api, { engine }: ApiParts): void {
  const streams = new LongStreams(api, maxReaders);
  const readers = new Set<Reader>();
  let sequence = 0;

  const listeners = kinds.map((kind) => {
    const listener = (event: EngineEvents[typeof kind][0]) => {
      sequence++;
      if (readers.size === 0) return;
      const text = `id: ${sequence}\nevent: ${kind}\ndata: ${JSON.stringify(event, plain)}\n\n`;
      for (const reader of readers) reader.push(text);
    };
    engine.events.on(kind, listener);
    return () => engine.events.off(kind, listener);
  });

  const keepAlive = setInterval(() => {
    for (const reader of readers) reader.push(':\n\n');
  }, keepAliveMs);
  keepAlive.unref();

  api.addHook('onClose', async () => {
    clearInterval(keepAlive);
    for (const stop of listeners) stop();
  });

  api.get(
    '/v1/events',
    {
      schema: {
        tags: ['status'],
        summary:
          'What happens, as server-sent events: table, knock, condition, quota, policy, drift, unknown, clock, trouble',
        description:
          'A reader that is too slow gets an event `lost` with the number of events that it missed. What the kernel held ' +
          'when the daemon started and nobody knew of (`unknown`) is told to each reader first.',
        response: { 200: eventsResponse },
      },
      handlerTimeout: limits.streamMs,
      exposeHeadRoute: false,
    },
    async (_request, reply) => {
      streams.admit();
      const reader = new Reader();
      readers.add(reader);
      streams.add(reader.stream, () => reader.stream.end());
      reader.stream.once('close', () => readers.delete(reader));
      reader.push(':\n\n');
      for (const entries of engine.unknown) reader.push(`event: unknown\ndata: ${JSON.stringify(entries)}\n\n`);
      return reply.type('text/event-stream').header('cache-control', 'no-store').send(reader.stream);
    },
  );
}

/** Not a type for the handler: it answers a stream. */
const eventsResponse: object = {
  description: 'The events.',
  content: { 'text/event-stream': { schema: Type.String() } },
};

/** One connection, and what it missed. */
class Reader {
  readonly stream = new PassThrough();
  #lost = 0;

  push(text: string): void {
    if (this.stream.writableLength > maxWaitingBytes) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) this.stream.write(`event: lost\ndata: ${JSON.stringify({ events: this.#lost })}\n\n`);
    this.#lost = 0;
    this.stream.write(text);
  }
}

/** Errors by their message, big numbers as numbers. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return { message: value.message };
  return typeof value === 'bigint' ? Number(value) : value;
}
