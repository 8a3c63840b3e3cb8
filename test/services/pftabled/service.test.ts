import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Engine } from '../../../src/engine/engine.js';
import { parseAddress } from '../../../src/net/address.js';
import type { PftabledSection } from '../../../src/policy/ast.js';
import { pftabled } from '../../../src/services/pftabled/service.js';
import type { ServiceContext } from '../../../src/services/service.js';
import { memoryDisk } from '../../../src/store/memory-disk.js';
import { openStore } from '../../../src/store/open.js';
import type { Store } from '../../../src/store/store.js';
import { encodePftabled, pftabledKey } from '../../../src/wire/pftabled.js';
import { TableDouble } from './table-double.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-pftabled-'));
after(() => rmSync(folder, { recursive: true }));
const keyFile = join(folder, 'key');
writeFileSync(keyFile, Buffer.alloc(32, 7), { mode: 0o600 });
const key = pftabledKey(Buffer.alloc(20, 7));

function world(section: Partial<PftabledSection>, listen = '127.0.0.1', store?: Store) {
  const tables = new TableDouble(['spammer', 'jail'], Date.now);
  const lines: string[] = [];
  const warn = (line: string) => lines.push(line);
  // The receiver uses nothing of the engine but its tables.
  const engine = { tables, events: new EventEmitter() } as unknown as Engine;
  const log = { info: warn, warn, error: warn };
  const context: ServiceContext = { engine, log, now: Date.now, ...(store === undefined ? {} : { store }) };
  const at = { file: 'policy.yaml', line: 1, column: 1 };
  const whole = { at, listen: { address: parseAddress(listen), port: 0 }, tables: ['spammer'], keyFile, ...section };
  const service = pftabled.create(whole, context);
  const counts = () => new Map(service.metrics!()[0]!.samples.map(({ labels, value }) => [labels.result, value]));
  return { service, tables, lines, counts };
}

function portOf(status: string): number {
  return Number(/:(\d+), /.exec(status)?.[1]);
}

function datagram(address: number): Buffer {
  const timestamp = Math.floor(Date.now() / 1000);
  return encodePftabled({ version: 2, command: 1, mask: 32, address, table: 'spammer', timestamp }, key);
}

async function sendTo(port: number, target: string, bytes: Buffer): Promise<void> {
  const socket = createSocket(target.includes(':') ? 'udp6' : 'udp4');
  await new Promise((sent) => socket.send(bytes, port, target, sent));
  socket.close();
}

async function until(done: () => boolean): Promise<void> {
  for (const start = Date.now(); !done() && Date.now() - start < 10_000; ) await setTimeout(5);
}

test('a signed datagram changes a table, a forged one is counted, over IPv4 and IPv6', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    const { service, tables, counts, lines } = world({}, host);
    await service.start();
    const port = portOf(service.status());
    await sendTo(port, host, datagram(0xc000_0201));
    const forged = datagram(0xc000_0202);
    forged[7]! ^= 1;
    await sendTo(port, host, forged);
    await until(() => counts().get('digest') === 1 && counts().get('added') === 1);
    await service.stop();
    assert.deepEqual(tables.present(), ['spammer 192.0.2.1']);
    assert.deepEqual(tables.calls, [`add spammer 192.0.2.1 by ${host}`]);
    assert.equal(counts().get('digest'), 1);
    assert.equal(lines.length, 1);
  }
});

test('a datagram that was taken before a restart is refused after it', async () => {
  const disk = memoryDisk();
  const replayed = datagram(0xc000_0201);
  for (const result of ['added', 'replay']) {
    const store = await openStore({ disk, node: 'a' });
    const { service, counts } = world({}, '127.0.0.1', store);
    await service.start();
    await sendTo(portOf(service.status()), '127.0.0.1', replayed);
    await until(() => counts().get(result) === 1);
    await service.stop();
    await store.close();
    assert.equal(counts().get(result), 1, result);
  }
});

test('after stop the port is free again', async () => {
  const first = world({});
  await first.service.start();
  const port = portOf(first.service.status());
  const second = world({ listen: { address: parseAddress('127.0.0.1'), port } });
  await assert.rejects(second.service.start(), { code: 'system' });
  await first.service.stop();
  await second.service.start();
  await second.service.stop();
});

test('a key that is missing or too short is an error that names the file', async () => {
  const short = join(folder, 'short');
  writeFileSync(short, 'x', { mode: 0o600 });
  await assert.rejects(
    world({ keyFile: short }).service.start(),
    /short: a pftabled key has 20 bytes, this file has 1/,
  );
  await assert.rejects(world({ keyFile: join(folder, 'none') }).service.start(), /can't read the pftabled key: ENOENT/);
});

test('a key that others can read is warned of', async () => {
  chmodSync(keyFile, 0o644);
  const { service, lines } = world({});
  await service.start();
  await service.stop();
  chmodSync(keyFile, 0o600);
  assert.match(lines.join(), /others can read the key in .*chmod 600/);
});

test('the status says where it listens and what it takes', async () => {
  const { service } = world({ keyFile: undefined, force: 'jail', tables: [] });
  await service.start();
  assert.match(service.status(), /^udp 127\.0\.0\.1:\d+, table jail for every request, unsigned$/);
  await service.stop();
  assert.match(world({}, '::1').service.status(), /^udp \[::1\]:0, tables spammer$/);
});
