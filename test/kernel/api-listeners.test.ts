/** The API over real sockets: TCP with a token, the UNIX socket, events as they happen, limits. */

import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { DaemonBed, type RunningDaemon } from './daemon-bed.js';
import { until } from './namespace.js';

const secret = 'dG9rZW4gb2YgdGhlIHRlc3Rz';
const policy = (listen: string) => `
tables:
  bruteforce: { timeout: 1d }
chains:
  input:
    rules:
      - { from: <bruteforce>, do: drop }
api:
  listen: [${listen}]
  token: { file: token }
`;

suite('the API', async () => {
  const bed = await DaemonBed.open({ after }, policy('127.0.0.1:8053, "[::1]:8053"'));
  let daemon: RunningDaemon;
  const curl = async (...args: string[]) => (await bed.space.run('curl', '-s', '-m', '10', ...args)).stdout;
  const status = (...args: string[]) => curl('-o', '/dev/null', '-w', '%{http_code}', ...args);
  const bearer = ['-H', `Authorization: Bearer ${secret}`];

  before(async () => {
    writeFileSync(`${bed.folder}/token`, `${secret}\n`, { mode: 0o600 });
    daemon = await bed.start();
  });
  after(() => daemon.stop());

  test('listens on TCP of both families for who has the token, and on the socket for its owner and group', async () => {
    for (const host of ['127.0.0.1', '[::1]']) {
      assert.equal(await status(...bearer, `http://${host}:8053/v1/tables`), '200');
      assert.equal(await status(`http://${host}:8053/v1/tables`), '401');
      assert.equal(await status(`http://${host}:8053/healthz`), '200');
    }
    assert.equal(await status('-H', 'Authorization: Bearer wrong', 'http://127.0.0.1:8053/v1/tables'), '401');
    assert.equal(await status('--unix-socket', bed.socket, 'http://postern/v1/tables'), '200');
    assert.equal(statSync(bed.socket).mode & 0o777, 0o660);
    assert.match((await bed.postern('status')).out, /^api +http:\/\/127\.0\.0\.1:8053, http:\/\/\[::1\]:8053$/m);
  });

  test('keeps the address of a TCP caller with what he adds', async () => {
    const entry = '{"address":"203.0.113.7"}';
    await curl(...bearer, '--json', entry, 'http://127.0.0.1:8053/v1/tables/bruteforce/entries');
    assert.match((await bed.postern('table', 'show', 'bruteforce')).out, /^203\.0\.113\.7 .* by rest 127\.0\.0\.1$/m);
  });

  test('stops looking at tokens of a host that guesses', async () => {
    const codes = [];
    for (let i = 0; i < 8; i++)
      codes.push(await status('-H', `Authorization: Bearer guess${i}`, 'http://[::1]:8053/v1/tables'));
    assert.equal(codes.at(-1), '429');
    assert.equal(await status(...bearer, 'http://127.0.0.1:8053/v1/tables'), '200', 'another host comes in');
  });

  test('takes a new token and another address at a reload; a token open to others closes it', async () => {
    const next = 'bmV3IHRva2VuIG9mIHRoZSB0ZXN0cw';
    writeFileSync(`${bed.folder}/token`, next);
    bed.write(policy('127.0.0.1:8054'));
    assert.equal((await bed.postern('reload')).status, 0);
    await until('the new listener is there', async () =>
      bed.space.run('curl', '-sf', '-H', `Authorization: Bearer ${next}`, 'http://127.0.0.1:8054/v1/tables').then(
        () => true,
        () => false,
      ),
    );
    await assert.rejects(curl('http://127.0.0.1:8053/healthz'));
    await bed.shell(`chmod 644 ${bed.folder}/token`);
    await bed.postern('reload');
    await until('the listener is closed', async () => (await bed.postern('status')).status === 1);
    assert.match((await bed.postern('status')).out, /^api +failed: token file \S+ is open to others: run 'chmod 640 /m);
    assert.equal(await status('--unix-socket', bed.socket, 'http://postern/readyz'), '503');
    await bed.shell(`chmod 600 ${bed.folder}/token`);
    await bed.postern('reload');
    await until('all is well', async () => (await bed.postern('status')).status === 0);
  });

  test('tells what happens, while it happens, and ends its streams when the daemon ends', async () => {
    let events = '';
    let ended = false;
    const stream = request({ socketPath: bed.socket, path: '/v1/events' }, (response) => {
      assert.equal(response.headers['content-type'], 'text/event-stream');
      response.setEncoding('utf8').on('data', (text: string) => {
        events += text;
      });
      response.on('end', () => {
        ended = true;
      });
    });
    stream.end();
    await until('the stream is open', () => events.includes(':'));
    await bed.postern('table', 'add', 'bruteforce', '203.0.113.9', '203.0.113.10');
    await until('the event is there', () => events.includes('event: table'));
    const [, data] = /event: table\ndata: (.*)\n\n/.exec(events)!;
    const { table, source, count } = JSON.parse(data!) as { table: string; source: object; count: { added: number } };
    assert.deepEqual([table, source, count.added], ['bruteforce', { kind: 'cli', id: 'uid 0' }, 2]);
    const outcome = await daemon.stop();
    assert.equal(outcome.status, 0);
    assert.ok(ended, 'the stream ended as if complete');
    daemon = await bed.start();
  });

  test('answers what is not HTTP with an error of our shape', async () => {
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = createConnection(bed.socket, () => socket.write('hello\r\n\r\n'));
      socket.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      socket.on('close', () => resolve(text));
    });
    const [head, body] = answer.split('\r\n\r\n');
    assert.match(head!, /^HTTP\/1\.1 400 /);
    assert.deepEqual(JSON.parse(body!), { error: { code: 'usage', message: 'this is not HTTP' } });
  });
});
