import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { UnknownEntries } from '../../src/engine/engine.js';
import { until } from '../kernel/namespace.js';
import { type ApiBench, apiBench } from './fixture.js';

suite('the stream of events', async () => {
  const bed: ApiBench = await apiBench();
  let port = 0;
  const open: IncomingMessage[] = [];

  before(async () => {
    await bed.api.listen({ host: '127.0.0.1', port: 0 });
    port = (bed.api.server.address() as AddressInfo).port;
  });
  after(() => bed.close());

  function follow(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      request({ port, path: '/v1/events', agent: false }, (response) => {
        open.push(response);
        resolve(response);
      })
        .on('error', reject)
        .end();
    });
  }

  function tell(detail: string): void {
    bed.engine.events.emit('drift', { what: 'found', detail });
  }

  const closeAll = () => {
    for (const response of open.splice(0)) response.destroy();
  };

  test('says what happens, numbered, to everyone who follows', async () => {
    const texts = await Promise.all(
      [1, 2].map(async () => {
        const response = await follow();
        const seen = { text: '' };
        response.setEncoding('utf8').on('data', (chunk: string) => {
          seen.text += chunk;
        });
        return seen;
      }),
    );
    tell('one');
    bed.engine.events.emit('trouble', { error: new Error('two\nlines') });
    for (const seen of texts) {
      await until('both events are there', () => seen.text.includes('trouble'));
      assert.match(
        seen.text,
        /id: (\d+)\nevent: drift\ndata: {"what":"found","detail":"one"}\n\nid: \d+\nevent: trouble\ndata: {"error":{"message":"two\\nlines"}}\n\n/,
      );
    }
    closeAll();
  });

  test('tells steps of the clock, and to each reader first what the kernel held and nobody knew of', async () => {
    const found = { table: 'ban', count: 2, examples: ['192.0.2.1', '192.0.2.2'], what: 'adopted' } as const;
    (bed.engine.unknown as UnknownEntries[]).push(found);
    const seen = { text: '' };
    (await follow()).setEncoding('utf8').on('data', (chunk: string) => {
      seen.text += chunk;
    });
    bed.engine.events.emit('clock', { stepMs: -3_600_000 });
    await until('both are there', () => seen.text.includes('clock'));
    assert.match(
      seen.text,
      /^:\n\nevent: unknown\ndata: {"table":"ban","count":2,.*}\n\nid: \d+\nevent: clock\ndata: {"stepMs":-3600000}\n\n$/,
    );
    closeAll();
  });

  test('drops events for a reader that does not read, tells it how many, and forgets nobody else', async () => {
    const slow = await follow();
    slow.pause();
    const quick = await follow();
    let last = '';
    quick.setEncoding('utf8').on('data', (chunk: string) => {
      last = chunk;
    });
    const long = 'x'.repeat(8192);
    for (let i = 0; i < 2000; i++) {
      tell(long);
      if (i % 20 === 0) await new Promise(setImmediate);
    }
    tell('the end');
    await until('the quick reader has the last event', () => last.includes('the end'), 30_000);
    let text = '';
    slow.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    slow.resume();
    await until(
      'the slow reader is told what it missed',
      () => {
        tell('again');
        return text.includes('event: lost');
      },
      30_000,
    );
    const lost = Number(/event: lost\ndata: {"events":(\d+)}/.exec(text)![1]);
    const seen = text.split(long).length - 1;
    assert.ok(lost > 100, `${lost} lost`);
    assert.ok(seen + lost >= 2000, `${seen} seen and ${lost} lost are all`);
    closeAll();
  });

  test('has a bound on its readers', async () => {
    await until('the others are gone', async () => {
      const readers = await Promise.all(Array.from({ length: 33 }, follow));
      const refused = readers.filter(({ statusCode }) => statusCode === 503).length;
      closeAll();
      return refused === 1;
    });
  });
});
