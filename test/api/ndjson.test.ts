import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { jsonLines, streamOf } from '../../src/api/ndjson.js';

async function* chunksOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function read(...chunks: Uint8Array[]) {
  const lines = [];
  for await (const some of jsonLines(chunksOf(...chunks))) lines.push(...some);
  return lines;
}

const bytes = (text: string) => new TextEncoder().encode(text);

suite('lines of JSON', () => {
  test('are numbered from 1; empty lines count and are skipped; the last one needs no newline', async () => {
    assert.deepEqual(await read(bytes('{"a":1}\n\n  \r\n"b"\n3')), [
      { number: 1, value: { a: 1 } },
      { number: 4, value: 'b' },
      { number: 5, value: 3 },
    ]);
  });

  test('are the same however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        async (values, cuts) => {
          let rest = bytes(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
          const chunks: Uint8Array[] = [];
          while (rest.length > 0) {
            const cut = cuts.next().value;
            chunks.push(rest.subarray(0, cut));
            rest = rest.subarray(cut);
          }
          const lines = await read(...chunks);
          assert.deepEqual(
            lines.map(({ value }) => value),
            JSON.parse(JSON.stringify(values)),
          );
        },
      ),
    );
  });

  test('that are broken name their number', async () => {
    await assert.rejects(read(bytes('1\n{"a":\n')), { code: 'usage', message: /^line 2 is not JSON: / });
  });

  test('without an end are refused before they fill the memory', async () => {
    let pulled = 0;
    async function* endless() {
      for (;;) {
        pulled++;
        yield bytes('x'.repeat(1000));
      }
    }
    await assert.rejects(
      async () => {
        for await (const _ of jsonLines(endless())) assert.fail();
      },
      { code: 'too-large', message: 'line 1 is longer than 4096 characters; write one entry a line' },
    );
    assert.ok(pulled < 8);
  });
});

suite('a stream of pieces', () => {
  test('makes no more than its reader takes', async () => {
    let made = 0;
    function* pieces() {
      for (let i = 0; i < 1_000_000; i++) {
        made++;
        yield 'x'.repeat(64);
      }
    }
    const stream = streamOf(pieces());
    await new Promise((resolve) => stream.once('readable', resolve));
    assert.ok(made < 4_000, `${made} pieces were made for a reader that took nothing`);
    stream.destroy();
  });

  test('holds every piece in order', async () => {
    let text = '';
    for await (const chunk of streamOf(['a', 'b', 'x'.repeat(40_000), 'c'])) text += chunk;
    assert.equal(text, `ab${'x'.repeat(40_000)}c`);
  });
});
