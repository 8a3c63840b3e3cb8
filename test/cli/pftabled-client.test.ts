import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pftabledClient } from '../../src/cli/pftabled-client.js';
import { decodePftabled, isSignedPftabled, pftabledKey } from '../../src/wire/pftabled.js';

const main = fileURLToPath(new URL('../../src/cli/postern.cjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'postern-client-'));
const keyFile = join(folder, 'key');
const secret = Buffer.from('abcdefghijklmnopqrst and what no one reads');
const program = join(folder, 'pftabled-client');
writeFileSync(keyFile, secret);
symlinkSync(main, program);
after(() => rmSync(folder, { recursive: true }));

const files = new Map([['key', pftabledKey(secret)]]);

async function outcome(...argv: string[]) {
  const found = await pftabledClient(argv, {
    readKey: async (path) => files.get(path),
    resolve: async (host) => (host === 'nowhere' ? undefined : '192.0.2.1'),
    unixTime: () => 1_700_000_000,
    env: {},
  });
  if ('stderr' in found) return found.stderr.startsWith('\nUsage: ') ? 'usage' : found.stderr.trimEnd();
  const { command, mask, address, table } = decodePftabled(found.send)!;
  return `${found.port} ${command} ${address.toString(16)}/${mask} ${table}`;
}

test('arguments are checked in the order of the original, with its messages', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['h 9 t add 192.0.2.1', '9 1 c0000201/32 t'],
    ['h 9 t del 192.0.2.255/24 more', '9 2 c00002ff/24 t'],
    ['h 9 t flush 192.0.2.1/99', '9 3 0/0 t'],
    ['h 9 t', 'usage'],
    ['h 9 t add', 'usage'],
    ['-h', 'usage'],
    ['-k missing -h', 'pftabled-client: unable to read key file'],
    ['-k key -k missing nowhere', 'pftabled-client: unable to read key file'],
    ['nowhere 9 t kill', "pftabled-client: Unable to resolve 'nowhere'"],
    [`h 9 ${'t'.repeat(33)} kill`, `pftabled-client: Table name '${'t'.repeat(33)}' too long`],
    [`h 9 ${'t'.repeat(32)} flush`, `9 3 0/0 ${'t'.repeat(32)}`],
    ['h 9 t kill x/99', "pftabled-client: Unknown command 'kill'"],
    ['h 9 t constructor x', "pftabled-client: Unknown command 'constructor'"],
    ['h 9 t add x/99', "pftabled-client: Invalid network mask '/99'"],
    ['h 9 t add x/24', "pftabled-client: Unable to parse 'x'"],
    ['h 9 t add 192.0.2.1/24/25', '9 1 c0000201/24 t'],
    ['h 9 t add 2001:db8::1', "pftabled-client: Unable to parse '2001:db8::1'"],
    ['h 9 t add 192.0.2.1 -k key', '9 1 c0000201/32 t'],
    ['h 9 -- -t add 192.0.2.1', '9 1 c0000201/32 -t'],
    ['-- h 9 -t add 192.0.2.1', '9 1 c0000201/32 -t'],
  ];
  for (const [line, expected] of cases) assert.equal(await outcome(...line.split(' ')), expected, line);
});

test('numbers are read as atoi does, ports cut to 16 bits, masks to 8', async () => {
  const ports = { '65537': 1, ' 9x': 9, '+9': 9, ' -1': 65_535, x: 0, '9223372036854775808': 65_535 };
  for (const [text, port] of Object.entries(ports)) {
    assert.equal(await outcome('h', text, 't', 'flush'), `${port} 3 0/0 t`, text);
  }
  const masks = { '257': 1, '288': 32, '24x': 24, ' 24': 24, '024': 24, '-255': 1 };
  for (const [text, mask] of Object.entries(masks)) {
    assert.equal(await outcome('h', '9', 't', 'add', `192.0.2.1/${text}`), `9 1 c0000201/${mask} t`, text);
  }
  for (const text of ['0', '33', '256', '-1', 'abc', '']) {
    assert.equal(
      await outcome('h', '9', 't', 'add', `192.0.2.1/${text}`),
      `pftabled-client: Invalid network mask '/${text}'`,
    );
  }
});

test('a table is counted and sent in bytes', async () => {
  assert.equal(await outcome('h', '9', 'ü'.repeat(16), 'flush'), `9 3 0/0 ${'Ã¼'.repeat(16)}`);
  assert.match(await outcome('h', '9', `${'ü'.repeat(16)}x`, 'flush'), /too long/);
});

async function run(command: string, argv: readonly string[]) {
  const child = spawn(process.execPath, [command, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [status] = (await once(child, 'close')) as [number];
  return { status, output };
}

async function sink(): Promise<{ socket: Socket; port: string }> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, port: String(socket.address().port) };
}

test('the program sends one signed datagram and says nothing, by its own name and as a command of postern', async () => {
  const { socket, port } = await sink();
  for (const [command, ...words] of [[program], [main, 'pftabled', 'send']] as const) {
    const arrived = once(socket, 'message');
    const before = Math.floor(Date.now() / 1000);
    const argv = [...words, '-k', keyFile, 'localhost', port, 'spammer', 'add', '192.0.2.1/24'];
    assert.deepEqual(await run(command, argv), { status: 0, output: '' });
    const [datagram] = (await arrived) as [Buffer];
    assert.ok(isSignedPftabled(datagram, pftabledKey(secret)));
    const { timestamp, ...message } = decodePftabled(datagram)!;
    assert.deepEqual(message, { version: 2, command: 1, mask: 24, address: 0xc000_0201, table: 'spammer' });
    assert.ok(timestamp >= before && timestamp <= before + 10);
  }
  socket.close();
});

test('the program exits with 1 and its message when it can not send', async () => {
  const cases = [
    [['-h'], /^\nUsage: pftabled-client /],
    [['-x'], /^pftabled-client: invalid option -- 'x'\n\nUsage: /],
    [['-k', join(folder, 'none')], /^pftabled-client: unable to read key file\n$/],
    [['::1', '9', 't', 'flush'], /^pftabled-client: Unable to resolve '::1'\n$/],
    [['', '9', 't', 'flush'], /^pftabled-client: Unable to resolve ''\n$/],
    [['127.0.0.1', '0', 't', 'flush'], /^pftabled-client: Unable to send: /],
  ] as const;
  for (const [argv, expected] of cases) {
    const { status, output } = await run(program, argv);
    assert.match(output, expected);
    assert.equal(status, 1, argv.join(' '));
  }
});
