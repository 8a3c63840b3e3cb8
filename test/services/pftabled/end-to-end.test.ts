/** From a client's command line, over a real socket, to the elements in the kernel's sets. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAddress } from '../../../src/net/address.js';
import { pftabled } from '../../../src/services/pftabled/service.js';
import { bench } from '../../engine/fixture.js';
import { elementsOf } from '../../engine/kernel-content.js';

const main = fileURLToPath(new URL('../../../src/cli/postern.cjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'postern-pftabled-'));
after(() => rmSync(folder, { recursive: true }));
const keyFile = join(folder, 'key');
const secret = Buffer.from('0123456789abcdefghij');
writeFileSync(keyFile, secret, { mode: 0o600 });

const policy = `
version: 1
tables:
  spammer: { timeout: 1h, size: 100 }
  jail: { size: 100 }
  ours: { size: 100 }
pftabled:
  listen: 127.0.0.1:56789
  key: { file: ${keyFile} }
  tables: [spammer, jail]
chains:
  input:
    policy: accept
    rules:
      - { from: <spammer>, do: drop }
      - { from: <jail>, do: drop }
      - { from: <ours>, do: drop }
`;

async function world(text = policy) {
  const { engine, kernel, clock } = await bench(text);
  const section = engine.policy.current!.policy.pftabled!;
  const log = { info() {}, warn() {}, error() {} };
  const listening = { ...section, listen: { address: parseAddress('127.0.0.1'), port: 0 } };
  const service = pftabled.create(listening, { engine, log, now: Date.now });
  await service.start();
  const port = /:(\d+),/.exec(service.status())![1]!;
  const counts = () =>
    Object.fromEntries(
      service.metrics!()[0]!
        .samples.filter(({ value }) => value > 0)
        .map(({ labels, value }) => [labels.result, value]),
    );
  const stop = async () => {
    await service.stop();
    await engine.stop();
  };
  return { port, counts, clock, stop, inKernel: (table: string) => elementsOf(kernel, engine, table) };
}

async function run(command: string, argv: readonly string[], input?: Buffer): Promise<void> {
  const child = spawn(command, argv, { stdio: ['pipe', 'inherit', 'inherit'] });
  child.stdin.end(input);
  const [status] = await once(child, 'close');
  assert.equal(status, 0, command);
}

const client = (...argv: string[]) =>
  run(process.execPath, [main, 'pftabled', 'send', '-k', keyFile, '127.0.0.1', ...argv]);

async function until(done: () => boolean): Promise<void> {
  for (const start = Date.now(); !done() && Date.now() - start < 10_000; ) await setTimeout(5);
}

test('what a client adds is in the kernel for as long as the table says, and what it deletes is not', async () => {
  const { port, counts, clock, stop, inKernel } = await world();
  await client(port, 'spammer', 'add', '192.0.2.7');
  await client(port, 'spammer', 'add', '198.51.100.255/24');
  await client(port, 'jail', 'add', '203.0.113.5');
  await until(() => counts().added === 3);
  assert.deepEqual(await inKernel('spammer'), ['hosts 192.0.2.7 3600s', 'prefixes 198.51.100.0/24 3600s']);
  assert.deepEqual(await inKernel('jail'), ['hosts 203.0.113.5']);

  await client(port, 'jail', 'del', '203.0.113.5');
  await client(port, 'ours', 'flush');
  await until(() => counts().deleted === 1 && counts().table === 1);
  assert.deepEqual(await inKernel('jail'), []);

  await clock.pass(3_600_000);
  assert.deepEqual(await inKernel('spammer'), []);
  assert.deepEqual(counts(), { added: 3, deleted: 1, table: 1 });
  await stop();
});

test('a request added again extends its time, and a flush empties the table', async () => {
  const { port, counts, clock, stop, inKernel } = await world(
    policy.replace('  tables: [', '  timeout: 10s\n  tables: ['),
  );
  await client(port, 'spammer', 'add', '192.0.2.7');
  await until(() => counts().added === 1);
  await clock.pass(6000);
  // Another second of the client's clock: the same one would be the same datagram.
  await setTimeout(1000);
  await client(port, 'spammer', 'add', '192.0.2.7');
  await until(() => counts().added === 2);
  await clock.pass(6000);
  assert.deepEqual(await inKernel('spammer'), ['hosts 192.0.2.7 4s']);
  await client(port, 'spammer', 'flush');
  await until(() => counts().flushed === 1);
  assert.deepEqual(await inKernel('spammer'), []);
  await stop();
});

test('bytes put together by hand and sent by socat are taken once, and never when a bit is wrong', async () => {
  const { port, counts, stop, inKernel } = await world();
  const seconds = Buffer.alloc(4);
  seconds.writeUInt32BE(Math.floor(Date.now() / 1000));
  const signed = Buffer.concat([
    Buffer.from([2, 1, 0, 32, 192, 0, 2, 9]),
    Buffer.from('spammer'.padEnd(32, '\0')),
    seconds,
  ]);
  const datagram = Buffer.concat([signed, createHmac('sha1', secret).update(signed).digest()]);
  const forged = Buffer.from(datagram);
  forged[7] = 10;
  for (const bytes of [datagram, datagram, forged])
    await run('socat', ['-u', 'STDIN', `UDP4:127.0.0.1:${port}`], bytes);
  await until(() => counts().added === 1 && counts().replay === 1 && counts().digest === 1);
  assert.deepEqual(counts(), { added: 1, replay: 1, digest: 1 });
  assert.deepEqual(await inKernel('spammer'), ['hosts 192.0.2.9 3600s']);
  await stop();
});
