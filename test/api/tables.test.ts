import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { apiBench } from './fixture.js';

const counts = (made: Partial<Record<'added' | 'changed' | 'deleted' | 'unchanged' | 'refused', number>>) => ({
  added: 0,
  changed: 0,
  deleted: 0,
  unchanged: 0,
  refused: 0,
  ...made,
});

suite('tables over HTTP', async () => {
  const bed = await apiBench();
  after(() => bed.close());
  const { ask } = bed;

  async function addresses(table: string): Promise<string[]> {
    const { body } = await ask('GET', `/v1/tables/${table}/entries`);
    return (body as { entries: { address: string; not?: boolean }[] }).entries.map(
      ({ address, not }) => `${not === true ? '!' : ''}${address}`,
    );
  }

  test('are listed with what they hold', async () => {
    const { status, body } = await ask('GET', '/v1/tables');
    assert.equal(status, 200);
    assert.deepEqual(body, {
      tables: [
        { name: 'bruteforce', timeout: '1d', size: 200000, hosts: 0, prefixes: 0, backend: 'nft' },
        { name: 'tiny', size: 3, hosts: 0, prefixes: 0, backend: 'nft' },
        { name: 'office', size: 65536, hosts: 0, prefixes: 2, backend: 'nft' },
      ],
    });
    assert.deepEqual(await ask('GET', '/v1/tables/tiny'), {
      status: 200,
      body: (body as { tables: unknown[] }).tables[1],
    });
  });

  test('take one entry, and show it with its time, comment and source', async () => {
    const entry = { address: '198.51.100.7', timeout: '10m', comment: 'knocked' };
    assert.deepEqual(await ask('POST', '/v1/tables/bruteforce/entries', entry), {
      status: 200,
      body: counts({ added: 1 }),
    });
    const now = bed.clock.wall();
    const { body } = await ask('GET', '/v1/tables/bruteforce/entries');
    assert.deepEqual(body, {
      entries: [
        {
          address: '198.51.100.7',
          timeout: '10m',
          expiresAt: new Date(now + 600_000).toISOString(),
          comment: 'knocked',
          source: { kind: 'rest', id: '127.0.0.1' },
          addedAt: new Date(now).toISOString(),
        },
      ],
    });
  });

  test('take a list of both families, prefixes and exceptions; never is a timeout, too', async () => {
    const list = [
      { address: '2001:db8::/32', timeout: 'never' },
      { address: '2001:db8:1::1', not: true },
      { address: '198.51.100.7' },
    ];
    const { body } = await ask('POST', '/v1/tables/bruteforce/entries', list);
    assert.deepEqual(body, counts({ added: 2, changed: 1 }));
    assert.deepEqual(await addresses('bruteforce'), ['198.51.100.7', '2001:db8::/32', '!2001:db8:1::1']);
  });

  test('say which addresses are in them, and why', async () => {
    const { body } = await ask('POST', '/v1/tables/bruteforce/test', [
      { address: '2001:db8::1' },
      { address: '2001:db8:1::1' },
      { address: '203.0.113.1' },
    ]);
    const { results } = body as { results: { inTable: boolean; entry?: { address: string } }[] };
    assert.deepEqual(
      results.map(({ inTable, entry }) => [inTable, entry?.address]),
      [
        [true, '2001:db8::/32'],
        [false, '2001:db8:1::1'],
        [false, undefined],
      ],
    );
  });

  test('lose what is deleted, and say what was not there', async () => {
    const body = [{ address: '198.51.100.7' }, { address: '203.0.113.1' }];
    assert.deepEqual(
      (await ask('DELETE', '/v1/tables/bruteforce/entries', body)).body,
      counts({ deleted: 1, unchanged: 1 }),
    );
    assert.deepEqual(await addresses('bruteforce'), ['2001:db8::/32', '!2001:db8:1::1']);
  });

  test('hold exactly what replaces them', async () => {
    const { body } = await ask('PUT', '/v1/tables/bruteforce/entries', [
      { address: '2001:db8::/32' },
      { address: '::1' },
    ]);
    assert.equal((body as { added: number }).added, 1);
    assert.deepEqual(await addresses('bruteforce'), ['::1', '2001:db8::/32']);
  });

  test('are empty after a flush, but for what the policy says', async () => {
    await ask('POST', '/v1/tables/office/entries', { address: '203.0.113.9' });
    assert.deepEqual((await ask('POST', '/v1/tables/office/flush')).body, counts({ deleted: 1 }));
    assert.deepEqual(await addresses('office'), ['192.0.2.0/24', '!192.0.2.7']);
    assert.deepEqual((await ask('POST', '/v1/tables/bruteforce/flush')).body, counts({ deleted: 2 }));
  });

  test('refuse what the policy says otherwise, and count it', async () => {
    assert.deepEqual(
      (await ask('DELETE', '/v1/tables/office/entries', { address: '192.0.2.0/24' })).body,
      counts({ refused: 1 }),
    );
  });

  test('that are full say so with status 507 and take nothing of the request', async () => {
    const list = [1, 2, 3, 4].map((host) => ({ address: `192.0.2.${host}` }));
    const { status, body } = await ask('POST', '/v1/tables/tiny/entries', list);
    assert.deepEqual([status, (body as { error: { code: string } }).error.code], [507, 'full']);
    assert.deepEqual(await addresses('tiny'), []);
  });

  test('tell each other source apart', async () => {
    const headers = { 'x-postern-client': 'cli', 'content-type': 'application/json' };
    const payload = JSON.stringify({ address: '192.0.2.99' });
    await bed.api.inject({
      method: 'POST',
      url: '/v1/tables/bruteforce/entries',
      headers,
      payload,
      remoteAddress: '192.0.2.50',
    });
    const { body } = await ask('GET', '/v1/tables/bruteforce/entries');
    const [entry] = (body as { entries: { source: unknown }[] }).entries;
    assert.deepEqual(
      entry?.source,
      { kind: 'rest', id: '192.0.2.50' },
      'who comes by TCP is no local command, whatever he says',
    );
  });
});
