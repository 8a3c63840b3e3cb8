import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { daemonAt } from '../../src/cli/client.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-client-'));
after(() => rmSync(folder, { recursive: true }));
let number = 0;

async function daemonThat(answers: RequestListener) {
  const socket = join(folder, `${number++}.sock`);
  const server = createServer(answers);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  after(() => server.close());
  return daemonAt(socket);
}

async function* linesOf(count: number) {
  for (let i = 0; i < count; i++) yield `{"address":"line ${i}"}\n`;
}

suite('a command that talks to the daemon', () => {
  test('says its length with every method, DELETE too', async () => {
    const daemon = await daemonThat((request, response) => {
      request.resume();
      response.end(JSON.stringify([request.method, request.headers['content-length']]));
    });
    assert.deepEqual(await daemon.ask('DELETE', '/x', { a: 1 }), ['DELETE', '7']);
    assert.deepEqual(await daemon.ask('POST', '/x', { a: 1 }), ['POST', '7']);
  });

  test('gets the error that the daemon answered, with its code and details', async () => {
    const daemon = await daemonThat((_request, response) => {
      response
        .writeHead(404)
        .end(JSON.stringify({ error: { code: 'not-found', message: "no table 'x'", details: [1] } }));
    });
    await assert.rejects(daemon.ask('GET', '/x'), { code: 'not-found', message: "no table 'x'", details: [1] });
  });

  test('gets that error also when it comes in the middle of what it sends', async () => {
    const daemon = await daemonThat((request, response) => {
      request.once('data', () => {
        response.writeHead(507).end(JSON.stringify({ error: { code: 'full', message: 'full' } }));
      });
    });
    await assert.rejects(daemon.feed('POST', '/x', linesOf(500_000)), { code: 'full', message: 'full' });
  });

  test('is told how to start a daemon when there is none', async () => {
    await assert.rejects(daemonAt(join(folder, 'none.sock')).ask('GET', '/'), {
      code: 'unreachable',
      message: /^no daemon answers at .*none\.sock: start it with 'postern run --policy FILE', or name its socket/,
    });
  });

  test('is told when the daemon broke off', async () => {
    const daemon = await daemonThat((request) => request.socket.destroy());
    await assert.rejects(daemon.ask('GET', '/'), { code: 'unreachable', message: /broke off/ });
  });

  test('does not take an answer of another program for one of ours', async () => {
    const daemon = await daemonThat((_request, response) => void response.writeHead(500).end('<h1>Oops</h1>'));
    await assert.rejects(daemon.ask('GET', '/'), { code: 'internal', message: /answered 500 .* is it Postern\?/ });
  });

  test('reads an answer line by line', async () => {
    const daemon = await daemonThat((_request, response) => {
      response.write('a\nb');
      setTimeout(() => response.end('c\n'), 5);
    });
    const lines = [];
    for await (const line of daemon.follow('/x')) lines.push(line);
    assert.deepEqual(lines, ['a', 'bc']);
  });

  test('fails when a stream of lines is cut', async () => {
    const daemon = await daemonThat((_request, response) => {
      response.write('a\nb');
      setTimeout(() => response.destroy(), 5);
    });
    await assert.rejects(
      async () => {
        for await (const _ of daemon.follow('/x'));
      },
      { code: 'unreachable', message: /broke off/ },
    );
  });
});
