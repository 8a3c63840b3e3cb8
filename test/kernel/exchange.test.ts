/** What goes wrong between a request and its answer: with a socket that fails as told, and with real ones. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementsOver } from '../../src/kernel/elements.js';
import { IpsetCommands } from '../../src/kernel/ipset-commands.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { CallError, ERRNO } from '../../src/kernel/layouts.js';
import { openNf } from '../../src/kernel/nf.js';
import { type NlSocket, openNlSocket } from '../../src/kernel/nl-socket.js';
import { SocketExchange } from '../../src/kernel/socket-exchange.js';
import { killStates } from '../../src/kernel/states.js';
import { parseAddress } from '../../src/net/address.js';
import { CONTROL, MessageWriter } from '../../src/wire/netlink.js';
import { writeBatchBegin, writeBatchEnd } from '../../src/wire/nfnetlink.js';
import { namespace, type Scope } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

const FEATURES = { destroy: true, updateTimeout: true, resetElements: true, filterStates: true };
const key = Uint8Array.of(192, 0, 2, 1);
const change: ElementChange = { op: 'add', set: 0, key };
const BOUNDS = { maxDatagrams: 5, timeoutMs: 1000 };

/** Answers with these datagrams and failures, one after the other. */
class ScriptedSocket implements NlSocket {
  readonly fd = -1;
  readonly sent: Uint8Array[] = [];
  closed = 0;
  sendFailure: number | undefined;
  #answers: (Buffer | number)[] = [];
  #asked = false;

  /** What the request after the next one gets. */
  later: (Buffer | number)[] | undefined;

  /** What the next request gets. */
  set answers(answers: (Buffer | number)[]) {
    this.#answers = answers;
    this.#asked = false;
  }

  send(message: Uint8Array): void {
    if (this.sendFailure !== undefined) throw new CallError('send', this.sendFailure);
    this.sent.push(message);
    if (this.#asked && this.later !== undefined) this.#answers = this.later;
    this.#asked = true;
  }

  receive(into: Buffer): number {
    // Before it sends, an exchange empties the socket.
    if (!this.#asked) return -1;
    const next = this.#answers.shift();
    if (next === undefined) return -1;
    if (typeof next === 'number') throw new CallError('recv', next);
    return next.copy(into);
  }

  join(): void {}
  leave(): void {}
  dropped(): number {
    return 0;
  }
  close(): void {
    this.closed++;
  }
}

function batch(): Buffer {
  const writer = new MessageWriter();
  writeBatchBegin(writer, 1);
  writeBatchEnd(writer, 2);
  return writer.finish();
}

/** NLMSG_ERROR about message `seq`. */
function answer(seq: number, errno: number): Buffer {
  const writer = new MessageWriter();
  writer.begin(CONTROL.ERROR, 0, seq);
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  body.writeUInt32LE(seq, 12);
  writer.header(body);
  writer.end();
  return writer.finish();
}

function scripted(): { socket: ScriptedSocket; exchange: SocketExchange } {
  const socket = new ScriptedSocket();
  return { socket, exchange: new SocketExchange(() => socket) };
}

test('a batch larger than the send buffer is full, a kernel short of memory busy', async () => {
  const { socket, exchange } = scripted();
  socket.sendFailure = ERRNO.EMSGSIZE;
  await assert.rejects(exchange.transact(batch()), { code: 'full', message: /larger than the send buffer/ });
  for (const errno of [ERRNO.ENOBUFS, ERRNO.ENOMEM]) {
    socket.sendFailure = errno;
    await assert.rejects(exchange.transact(batch()), { code: 'busy', message: /short of memory; try again/ });
  }
  socket.sendFailure = ERRNO.EPERM;
  await assert.rejects(exchange.transact(batch()), { code: 'kernel', message: /EPERM/ });
});

test('lost answers leave the result unknown', async () => {
  const { socket, exchange } = scripted();
  socket.answers = [ERRNO.ENOBUFS];
  await assert.rejects(exchange.transact(batch()), { code: 'busy', message: /result is unknown/ });
  socket.answers = [];
  await assert.rejects(exchange.transact(batch()), { code: 'busy', message: /result is unknown/ });
  socket.answers = [ERRNO.EMSGSIZE];
  await assert.rejects(exchange.transact(batch()), { code: 'kernel' });
});

test('answers to what was asked before are not taken for this one', async () => {
  const { socket, exchange } = scripted();
  socket.answers = [answer(0, 22), answer(1, 0)];
  assert.deepEqual(await exchange.transact(batch()), { refused: [] });
});

test('a transaction that another one overtook, or for which there was no memory, is busy, and the next may pass', async () => {
  const { socket, exchange } = scripted();
  const nf = openNf(exchange, FEATURES);
  nf.adopt(testManifest);
  for (const [seq, errno] of [
    [1, ERRNO.ERESTART],
    [5, ERRNO.ENOMEM],
    [8, ERRNO.ENOBUFS],
  ] as const) {
    socket.answers = [answer(seq, errno)];
    await assert.rejects(nf.transact([change]), {
      code: 'busy',
      message: /not take a transaction just now.*try again/,
    });
  }
  socket.answers = [answer(20, 0)];
  assert.deepEqual(await nf.transact([change]), []);
});

test('a change is made although the kernel was overtaken, short of memory, or its answers were lost', async () => {
  for (const trouble of [answer(1, ERRNO.ERESTART), ERRNO.ENOBUFS]) {
    const { socket, exchange } = scripted();
    const elements = elementsOver(exchange, FEATURES);
    elements.adopt(testManifest);
    socket.answers = [trouble];
    socket.later = [answer(9, 0)];
    await elements.change([change]);
    assert.equal(socket.sent.length, 2);
    assert.equal(elements.counts.repeated, 1);
    await elements.close();
  }
});

test('requests whose answers are lost, or that find the kernel short of memory, are busy, whatever they ask for', async () => {
  const { socket, exchange } = scripted();
  const elements = elementsOver(exchange, FEATURES);
  elements.adopt(testManifest);
  const asks = [
    () => elements.get(0, { key }),
    () => elements.dump(0),
    () => elements.object(0),
    () => elements.generation(),
    () => elements.killStates(parseAddress('192.0.2.1')),
    () => killStates(exchange, parseAddress('192.0.2.1'), false),
    () => new IpsetCommands(exchange).header('x'),
    () => new IpsetCommands(exchange).change('add', 'x', [{ address: parseAddress('192.0.2.1') }]),
  ];
  for (const ask of asks) {
    socket.answers = [ERRNO.ENOBUFS];
    await assert.rejects(ask(), { code: 'busy' }, String(ask));
    socket.sendFailure = ERRNO.ENOBUFS;
    await assert.rejects(ask(), { code: 'busy', message: /try again/ }, String(ask));
    socket.sendFailure = undefined;
  }
});

test('a dump that does not end is given up, and its socket with it', async () => {
  const { socket, exchange } = scripted();
  const entry = () => {
    const writer = new MessageWriter();
    writer.begin(0x0a0c, 2, 1);
    writer.header(Buffer.alloc(4));
    writer.end();
    return writer.finish();
  };
  socket.answers = Array.from({ length: 100 }, entry);
  const request = batch();
  await assert.rejects(
    exchange.dump(request, BOUNDS, () => true),
    { code: 'busy', message: /did not end/ },
  );
  assert.equal(socket.closed, 1);
  socket.answers = [entry()];
  await assert.rejects(
    exchange.dump(request, BOUNDS, () => true),
    { code: 'busy', message: /broke off/ },
  );
  socket.answers = [ERRNO.ENOBUFS];
  await assert.rejects(exchange.list(request, BOUNDS, { pairs: false, reset: false }), { code: 'busy' });
  // One that brings nothing new any more has ended.
  socket.answers = Array.from({ length: 100 }, entry);
  const list = await exchange.list(request, { ...BOUNDS, maxDatagrams: 50 }, { pairs: false, reset: false });
  assert.equal(list.count, 0);
});

async function realElements(t: Scope, buffers: { sendBufferBytes?: number; receiveBufferBytes?: number }) {
  const space = await namespace(t);
  await space.nft(testSets);
  const exchange = new SocketExchange(() => openNlSocket({ protocol: 'NETFILTER', namespace: space.name, ...buffers }));
  const elements = elementsOver(exchange, FEATURES);
  t.after(() => elements.close());
  elements.adopt(testManifest);
  return elements;
}

function counted(count: number): ElementChange[] {
  return Array.from({ length: count }, (_, index) => ({
    op: 'add',
    set: 1,
    key: Uint8Array.of(10, index >> 16, (index >> 8) & 255, index & 255),
  }));
}

test('calls that together are too much for a small send buffer are committed by parts', async (t) => {
  const elements = await realElements(t, { sendBufferBytes: 4_096 });
  await assert.rejects(elements.change(counted(2_000)), { code: 'full' });
  await Promise.all(counted(1_000).map((change) => elements.change([change])));
  assert.equal((await elements.dump(1)).length, 1_000);
  assert.ok(elements.counts.repeated > 0);
});

test('a receive buffer too small for all refusals loses none of the good changes', async (t) => {
  const elements = await realElements(t, { receiveBufferBytes: 2_304 });
  const overlapping: ElementChange[] = Array.from({ length: 60 }, (_, index) => ({
    op: 'add',
    set: 2,
    key: Uint8Array.of(10, 0, 0, index),
    keyEnd: Uint8Array.of(10, 255, 0, index),
  }));
  const settled = await Promise.allSettled([...counted(60), ...overlapping].map((change) => elements.change([change])));
  assert.deepEqual(
    settled.slice(0, 61).map(({ status }) => status),
    Array.from({ length: 61 }, () => 'fulfilled'),
  );
  assert.ok(settled.slice(61).every(({ status }) => status === 'rejected'));
  assert.equal((await elements.dump(1)).length, 60);
  assert.equal((await elements.dump(2)).length, 1);
});
