import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createConnection, type Socket } from 'node:net';
import { after, suite, test } from 'node:test';
import { limits } from '../../src/api/limits.js';
import { apiBench } from './fixture.js';

const secret = 'c2VjcmV0IG9mIHRoZSB0ZXN0cw';
const token = { digest: createHash('sha256').update(secret).digest() };
const bearer = { authorization: `Bearer ${secret}` };

suite('a listener with a token', async () => {
  const bed = await apiBench({ guard: { token, failedTokenRate: { perSecond: 1 / 60, burst: 3 } } });
  after(() => bed.close());
  let host = 1;

  function get(url: string, headers: Record<string, string> = {}, remoteAddress = `192.0.2.${host++}`) {
    return bed.api.inject({ url, headers, remoteAddress });
  }

  test('lets in who bears it', async () => {
    for (const url of ['/v1/tables', '/v1/openapi.json', '/metrics', '/v1/status']) {
      assert.equal((await get(url, bearer)).statusCode, 200, url);
    }
  });

  test('answers everyone else with status 401, the way to come in, and nothing more', async () => {
    const routes = [...bed.api.printRoutes({ commonPrefix: false }).matchAll(/── (\/\S*)/g)].map(([, url]) => url!);
    assert.ok(routes.length > 8);
    for (const url of [
      '/v1/tables',
      '/v1/tables/bruteforce/entries',
      '/v1/accounts',
      '/v1/policy',
      '/v1/status',
      '/v1/events',
      '/metrics',
      '/v1/openapi.json',
    ]) {
      const answer = await get(url);
      assert.equal(answer.statusCode, 401, url);
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="postern"');
      assert.equal(answer.json().error.code, 'unauthorized');
    }
  });

  test('does not tell strangers which routes there are', async () => {
    assert.equal((await get('/v1/nothing')).statusCode, 401);
    assert.equal((await get('/v1/nothing', bearer)).statusCode, 404);
  });

  test('does not look into the body before it knows who asks', async () => {
    const answer = await bed.api.inject({
      method: 'POST',
      url: '/v1/tables/bruteforce/entries',
      headers: { 'content-type': 'application/json' },
      payload: '{',
      remoteAddress: '192.0.2.200',
    });
    assert.equal(answer.statusCode, 401);
  });

  test('is open to health checks', async () => {
    for (const url of ['/healthz', '/readyz']) assert.equal((await get(url)).statusCode, 200);
  });

  test('does not look at tokens of a host that guessed too often, and says when it will again', async () => {
    for (let i = 0; i < 3; i++) assert.equal((await get('/v1/tables', {}, '198.51.100.1')).statusCode, 401);
    const answer = await get('/v1/tables', bearer, '198.51.100.1');
    assert.deepEqual(
      [answer.statusCode, answer.json().error.code, answer.headers['retry-after']],
      [429, 'throttled', '60'],
    );
    assert.equal((await get('/v1/tables', bearer, '198.51.100.2')).statusCode, 200);
    await bed.clock.pass(60_000);
    assert.equal((await get('/v1/tables', bearer, '198.51.100.1')).statusCode, 200);
  });
});

suite('a listener with a rate', async () => {
  const bed = await apiBench({ guard: { token, requestRate: { perSecond: 1, burst: 2 } } });
  after(() => bed.close());

  test('refuses what comes too fast, also with the right token', async () => {
    const statuses = [];
    for (let i = 0; i < 4; i++) {
      const { statusCode } = await bed.api.inject({ url: '/v1/tables', headers: bearer, remoteAddress: '192.0.2.1' });
      statuses.push(statusCode);
    }
    assert.deepEqual(statuses, [200, 200, 429, 429]);
  });
});

suite('an error over HTTP', async () => {
  const bed = await apiBench();
  after(() => bed.close());

  async function error(method: 'GET' | 'POST' | 'DELETE', url: string, payload?: string, type = 'application/json') {
    const answer = await bed.api.inject({
      method,
      url,
      ...(payload !== undefined && { payload, headers: { 'content-type': type } }),
    });
    const body = answer.json();
    assert.deepEqual(Object.keys(body), ['error']);
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    return [answer.statusCode, body.error.code, body.error.message];
  }

  const entries = '/v1/tables/bruteforce/entries';
  for (const [what, ask, expected] of [
    [
      'of an unknown route',
      () => error('GET', '/v1/nothing?x=1'),
      [404, 'not-found', 'no route GET /v1/nothing: see /v1/openapi.json'],
    ],
    [
      'of an unknown table',
      () => error('GET', '/v1/tables/none'),
      [404, 'not-found', 'there is no table none; the policy has: bruteforce, tiny, office'],
    ],
    [
      'of a body that is no JSON',
      () => error('POST', entries, '{'),
      [400, 'usage', "Body is not valid JSON but content-type is set to 'application/json'"],
    ],
    [
      'of a body of another type',
      () => error('POST', entries, 'x', 'text/plain'),
      [400, 'usage', 'the body must be application/json or application/x-ndjson'],
    ],
    [
      'of a missing body',
      () => error('DELETE', entries),
      [400, 'usage', 'this needs a body: one item, a list, or one a line'],
    ],
    [
      'of an unknown key',
      () => error('POST', entries, '{"address":"::1","tiemout":"1s"}'),
      [400, 'invalid', "body: unknown key 'tiemout'"],
    ],
    [
      'of a missing key',
      () => error('POST', entries, '[{"address":"::1"},{}]'),
      [400, 'invalid', "body[1]: 'address' is missing"],
    ],
    [
      'of a wrong type',
      () => error('POST', entries, '{"address":1}'),
      [400, 'invalid', 'body.address: must be string'],
    ],
    [
      'of a bad value',
      () => error('POST', entries, '{"address":"192.0.2.1/33"}'),
      [400, 'invalid', '"192.0.2.1/33" has no valid length after the slash; it goes from 0 to 32'],
    ],
    [
      'of too long a list',
      () => error('POST', entries, JSON.stringify(new Array(10_001).fill({ address: '::1' }))),
      [400, 'invalid', 'body: must NOT have more than 10000 items'],
    ],
    [
      'of too large a body',
      () => error('POST', entries, JSON.stringify('x'.repeat(1024 * 1024))),
      [413, 'too-large', 'Request body is too large'],
    ],
    [
      'of a query that is unknown',
      () => error('GET', '/v1/accounts/sales/rates?intervall=1s'),
      [400, 'invalid', "querystring: unknown key 'intervall'"],
    ],
  ] as const) {
    test(`${what} has the one shape`, async () => assert.deepEqual(await ask(), expected));
  }

  test('of a malformed address has the one shape, too', async () => {
    const answer = await bed.api.inject({ url: '/v1/tables/%zz' });
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json().error.code, 'usage');
  });

  test('that is a defect is logged with its place; the caller gets the message', async () => {
    const { tables } = bed.engine;
    const list = tables.list;
    tables.list = async () => {
      throw new TypeError('x is not a function');
    };
    assert.deepEqual(await error('GET', '/v1/tables'), [500, 'internal', 'x is not a function']);
    tables.list = list;
    assert.match(
      bed.log.join('\n'),
      /GET \/v1\/tables: x is not a function\n.*TypeError: x is not a function\n\s+at /s,
    );
  });
});

suite('OpenAPI', async () => {
  const bed = await apiBench();
  after(() => bed.close());

  test('describes every route, what it takes and what it answers', async () => {
    const { openapi, info, paths } = (await bed.api.inject({ url: '/v1/openapi.json' })).json();
    assert.equal(openapi, '3.1.0');
    assert.equal(info.version, '1.2.3');
    for (const path of [
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/accounts',
      '/v1/accounts/{account}',
      '/v1/accounts/{account}/flush',
      '/v1/accounts/{account}/rates',
      '/v1/events',
      '/v1/policy',
      '/v1/policy/confirm',
      '/v1/policy/plan',
      '/v1/policy/reload',
      '/v1/policy/rollback',
      '/v1/status',
      '/v1/tables',
      '/v1/tables/{table}',
      '/v1/tables/{table}/entries',
      '/v1/tables/{table}/flush',
      '/v1/tables/{table}/test',
    ]) {
      assert.ok(path in paths, path);
    }
    for (const [path, methods] of Object.entries<
      Record<string, { summary?: string; responses: Record<string, unknown> }>
    >(paths)) {
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        assert.ok(summary !== undefined, `${method} ${path} says what it does`);
        assert.ok(
          Object.keys(responses).some((status) => status.startsWith('2')),
          `${method} ${path} says what it answers`,
        );
        assert.ok('default' in responses, `${method} ${path} says how errors look`);
      }
    }
  });
});

suite('the bounds of a listener', async () => {
  const bed = await apiBench();
  after(() => bed.close());

  test('hold as many connections as they say, and turn the next one away', async () => {
    await bed.api.listen({ host: '127.0.0.1', port: 0 });
    const { port } = bed.api.server.address() as AddressInfo;
    const open = (): Promise<Socket> =>
      new Promise((resolve) => {
        const socket: Socket = createConnection({ host: '127.0.0.1', port }, () => resolve(socket));
        socket.on('error', () => {});
      });
    const sockets = await Promise.all(Array.from({ length: limits.connections }, open));
    const extra = await open();
    await new Promise((closed) => extra.once('close', closed).resume());
    sockets[0]!.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    const [answer] = (await once(sockets[0]!, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
    for (const socket of sockets) socket.destroy();
  });

  test('give a request no longer than they say', () => {
    const { requestTimeout, headersTimeout, keepAliveTimeout } = bed.api.server;
    assert.deepEqual(
      [requestTimeout, headersTimeout, keepAliveTimeout],
      [limits.requestMs, limits.headersMs, limits.idleMs],
    );
  });
});
