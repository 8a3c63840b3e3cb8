import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { readResponse } from '../../src/cli/http.js';

async function* cut(text: Buffer, cuts: Iterator<number>): AsyncGenerator<Buffer> {
  for (let rest = text; rest.length > 0; ) {
    const at = cuts.next().value as number;
    yield rest.subarray(0, at);
    rest = rest.subarray(at);
  }
}

async function* whole(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

async function read(pieces: AsyncIterable<Buffer>) {
  let closed = 0;
  const { status, body } = await readResponse(pieces, () => {
    closed++;
  });
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part);
  return { status, body: Buffer.concat(parts).toString('utf8'), closed };
}

const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

suite('a response', () => {
  test('is the same however its bytes are cut, and whether its length is said or it comes in chunks', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.boolean(),
        fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
        async (parts, inChunks, cuts) => {
          const text = parts.join('');
          const framed = inChunks
            ? `Transfer-Encoding: chunked\r\n\r\n${parts.map(chunk).join('')}0\r\n\r\n`
            : `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
          const bytes = Buffer.from(`HTTP/1.1 207 Some Words\r\nX: y\r\n${framed}`);
          assert.deepEqual(await read(cut(bytes, cuts)), { status: 207, body: text, closed: 1 });
        },
      ),
    );
  });

  test('without a length lasts until the connection ends; one without content has none', async () => {
    assert.equal((await read(whole('HTTP/1.1 200 OK\r\n\r\nall of it'))).body, 'all of it');
    assert.deepEqual(await read(whole('HTTP/1.1 204 No Content\r\n\r\n')), { status: 204, body: '', closed: 1 });
  });

  test('that its reader leaves closes the connection', async () => {
    let closed = false;
    const { body } = await readResponse(
      whole(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('a')}${chunk('b')}`),
      () => {
        closed = true;
      },
    );
    for await (const part of body) {
      assert.equal(part.toString(), 'a');
      break;
    }
    assert.ok(closed);
  });

  for (const [what, text, message] of [
    ['that is something else', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'the answer is not HTTP'],
    ['that ends in its head', 'HTTP/1.1 200 OK\r\nContent-', 'the answer is cut short'],
    ['that ends in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'the answer is cut short'],
    [
      'that ends between chunks',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('a')}`,
      'the answer is cut short',
    ],
    ['with a broken chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'the answer is not HTTP'],
    ['with a head without end', `HTTP/1.1 200 OK\r\n${'x'.repeat(20_000)}`, 'the answer is not HTTP'],
    ['that never begins', '', 'the answer is cut short'],
  ] as const) {
    test(`${what} is an error`, async () => {
      await assert.rejects(read(whole(text)), { name: 'SyntaxError', message });
    });
  }
});
