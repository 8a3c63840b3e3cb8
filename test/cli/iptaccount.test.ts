import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = mkdtempSync(join(tmpdir(), 'postern-iptaccount-'));
const socket = join(folder, 'api.sock');
const program = join(folder, 'iptaccount');
symlinkSync(fileURLToPath(new URL('../../src/cli/postern.cjs', import.meta.url)), program);

const huge = '18446744073709551615';
const row = `{"address":"192.168.1.10","source":{"packets":5,"bytes":${huge}},"destination":{"packets":3,"bytes":4200}}`;
const none = '{"packets":0,"bytes":0}';
const asked: string[] = [];

/** The daemon's answers, as the API writes them. */
const daemon: Server = createServer((request, response) => {
  const { method, url } = request;
  asked.push(`${method} ${url}`);
  const reading = (rows: string) =>
    `{"account":"sales","at":"2026-01-01T00:00:00.000Z","rows":[${rows}],"overflow":${none}}`;
  if (url === '/v1/accounts') response.end('{"accounts":[{"name":"sales"},{"name":"all_outgoing"}]}');
  else if (url === '/v1/accounts/sales') response.end(reading(row));
  else if (url === '/v1/accounts/sales/flush' && method === 'POST') response.end(reading(''));
  else {
    response.statusCode = url?.includes('broken') ? 500 : 404;
    const code = url?.includes('broken') ? 'kernel' : 'not-found';
    response.end(`{"error":{"code":"${code}","message":"no luck"}}`);
  }
});

before(async () => {
  daemon.listen(socket);
  await once(daemon, 'listening');
});

after(() => {
  daemon.close();
  rmSync(folder, { recursive: true });
});

async function run(argv: readonly string[], path = socket, until?: string) {
  const env = { ...process.env, POSTERN_SOCKET: path };
  const child = spawn(process.execPath, [program, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const seen = { out: '', err: '' };
  let awaited = until;
  child.stdout.on('data', (chunk) => {
    seen.out += chunk;
    if (awaited === undefined || !seen.out.includes(awaited)) return;
    awaited = undefined;
    child.kill('SIGINT');
  });
  child.stderr.on('data', (chunk) => {
    seen.err += chunk;
  });
  const [status] = (await once(child, 'close')) as [number];
  return {
    status,
    out: seen.out.replace(/^\nlibxt_ACCOUNT_cl userspace accounting tool v1\.3\n\n/, ''),
    err: seen.err,
  };
}

const sales = `Run #0 - 1 item found\nIP: 192.168.1.10 SRC packets: 5 bytes: ${huge} DST packets: 3 bytes: 4200\n`;

test('accounts of the daemon are printed as the original prints those of the kernel', async () => {
  const cases: readonly (readonly [string[], string, number])[] = [
    [['-a'], 'Found table: sales\nFound table: all_outgoing\nFinished.\n', 0],
    [['-u', '-h'], 'Current kernel handle usage: 0\nFreed all handles in kernel space\nFinished.\n', 0],
    [['-l', 'sales'], `Showing table: sales\n${sales}Finished.\n`, 0],
    [['-f', '-l', 'sales'], 'Showing table: sales\nRun #0 - 0 items found\nFinished.\n', 0],
    [
      ['-s', '-l', 'sales'],
      `IP;SRC packets;SRC bytes;DST packets;DST bytes\n192.168.1.10;5;${huge};3;4200\nFinished.\n`,
      0,
    ],
    [['-l', 'none'], "Showing table: none\nRead failed: Can't get table information from kernel. Does it exist?\n", 1],
    [['-l', 'broken'], 'Showing table: broken\nRead failed: no luck\n', 1],
  ];
  for (const [argv, out, status] of cases) assert.deepEqual(await run(argv), { status, out, err: '' }, argv.join(' '));
  assert.equal(asked.filter((line) => line.startsWith('POST')).length, 1);
});

test('a loop ends with Ctrl+C and says that it has finished', async () => {
  const { status, out } = await run(['-c', '-l', 'sales'], socket, 'Run #1');
  assert.equal(out, `Showing table: sales\n${sales}${sales.replace('#0', '#1')}Finished.\n`);
  assert.equal(status, 0);
});

test('without a daemon the program fails as the original does without its module', async () => {
  const { status, out } = await run(['-a'], join(folder, 'none.sock'));
  assert.match(out, /^Init failed: no daemon answers at .*\n$/);
  assert.equal(status, 255);
});
