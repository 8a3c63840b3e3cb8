import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, suite, test } from 'node:test';
import { type ApiBench, apiBench } from './fixture.js';

const many = 100_000;

function* entryLines(count: number): Generator<string> {
  for (let i = 0; i < count; i++) yield `{"address":"198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}"}\n`;
}

function send(bed: ApiBench, method: 'POST' | 'PUT' | 'DELETE', lines: Iterable<string>, table = 'bruteforce') {
  return bed.api.inject({
    method,
    url: `/v1/tables/${table}/entries`,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: Readable.from(lines, { objectMode: false }),
  });
}

suite('a stream of entries', async () => {
  const bed = await apiBench();
  after(() => bed.close());

  test('of 100,000 is added, comes back line by line in address order, and is replaced and deleted', async () => {
    const added = await send(bed, 'POST', entryLines(many));
    assert.deepEqual(added.json(), { added: many, changed: 0, deleted: 0, unchanged: 0, refused: 0 });

    const shown = await bed.api.inject({
      url: '/v1/tables/bruteforce/entries',
      headers: { accept: 'application/x-ndjson' },
    });
    assert.equal(shown.headers['content-type'], 'application/x-ndjson');
    const addresses = shown.body
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { address: string }).address);
    assert.equal(addresses.length, many);
    assert.deepEqual(
      [addresses[0], addresses[65_536], addresses.at(-1)],
      ['198.18.0.0', '198.19.0.0', '198.19.134.159'],
    );

    const replaced = await send(bed, 'PUT', entryLines(10));
    assert.equal(replaced.json().deleted, many - 10);
    const deleted = await send(bed, 'DELETE', entryLines(11));
    assert.deepEqual(deleted.json(), { added: 0, changed: 0, deleted: 10, unchanged: 1, refused: 0 });
  });

  test('is the same as JSON', async () => {
    await send(bed, 'PUT', entryLines(3));
    const { entries } = (await bed.api.inject({ url: '/v1/tables/bruteforce/entries' })).json();
    assert.equal(entries.length, 3);
    await send(bed, 'PUT', []);
    assert.deepEqual((await bed.api.inject({ url: '/v1/tables/bruteforce/entries' })).json(), { entries: [] });
  });

  test('is read no faster than it is taken in', async () => {
    let made = 0;
    let openGate = () => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    const { tables } = bed.engine;
    const add = tables.add.bind(tables);
    tables.add = async (...args) => {
      await gate;
      return add(...args);
    };
    function* counted() {
      for (const line of entryLines(20_000)) {
        made++;
        yield line;
      }
    }
    const answer = send(bed, 'POST', counted());
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(made > 1000 && made < 5000, `${made} lines were read while the first batch waited`);
    openGate();
    assert.equal((await answer).json().added, 20_000);
    tables.add = add;
  });

  test('that breaks names the line and says what was done before it', async () => {
    await send(bed, 'PUT', []);
    const lines = [...entryLines(1500), '{"address":"192.0.2.256"}\n'];
    const answer = await send(bed, 'POST', lines);
    assert.equal(answer.statusCode, 400);
    assert.deepEqual(answer.json(), {
      error: {
        code: 'invalid',
        message:
          'line 1501: "192.0.2.256" is not an IP address; write it as 192.0.2.1 or 2001:db8::1 (1000 changes before it were made and stay)',
        details: { applied: { added: 1000, changed: 0, deleted: 0, unchanged: 0, refused: 0 } },
      },
    });
  });

  test('that would replace a table and breaks changes nothing', async () => {
    const before = (await bed.api.inject({ url: '/v1/tables/bruteforce/entries' })).body;
    const answer = await send(bed, 'PUT', ['{"address":"::1"}\n', '{"addres":"::2"}\n']);
    assert.deepEqual(answer.json(), { error: { code: 'invalid', message: "line 2: 'address' is missing" } });
    assert.equal((await bed.api.inject({ url: '/v1/tables/bruteforce/entries' })).body, before);
  });

  for (const [what, lines, message] of [
    ['that is no JSON', ['{"address":"::1"}\n{"address"\n'], /^line 2 is not JSON: /],
    ['with an unknown key', ['{"address":"::1","tiemout":"1s"}'], /^line 1: unknown key 'tiemout'$/],
    ['with a wrong type', ['{"address":"::1","timeout":5}'], /^line 1\.timeout: must be string$/],
    ['that is no object', ['"::1"\n'], /^line 1: must be object$/],
    ['with a bad timeout', ['{"address":"::1","timeout":"5"}'], /^line 1: "5" is not a duration; is 5s meant\?$/],
    ['without end', ['x'.repeat(5000)], /^line 1 is longer than 4096 characters/],
  ] as const) {
    test(`${what} is refused`, async () => {
      const answer = await send(bed, 'POST', lines);
      assert.ok([400, 413].includes(answer.statusCode), String(answer.statusCode));
      assert.match(answer.json().error.message, message);
    });
  }
});
