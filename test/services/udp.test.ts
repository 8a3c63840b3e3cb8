import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { formatEndpoint, listenUdp } from '../../src/services/udp.js';
import { until } from '../kernel/namespace.js';

const noLoss = () => assert.fail('a datagram was lost');

test('datagrams come with their peer, over IPv4, IPv6, and IPv4 on an IPv6 socket', async () => {
  for (const [listen, target, peer] of [
    ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['::1', '::1', '::1'],
    ['::', '127.0.0.1', '127.0.0.1'],
  ] as const) {
    const seen = new EventEmitter();
    const listener = await listenUdp(parseAddress(listen), 0, {
      datagram: (bytes, from) => seen.emit('datagram', `${bytes} from ${from}`),
      lost: noLoss,
      trouble: () => {},
    });
    const arrived = once(seen, 'datagram');
    const socket = createSocket(target.includes(':') ? 'udp6' : 'udp4');
    socket.send('hello', listener.port, target);
    assert.deepEqual(await arrived, [`hello from ${peer}`]);
    socket.close();
    await listener.close();
  }
});

test('an address that is taken is an error that names it', async () => {
  const reader = { datagram: () => {}, lost: () => {}, trouble: () => {} };
  const listener = await listenUdp(parseAddress('127.0.0.1'), 0, reader);
  await assert.rejects(
    listenUdp(parseAddress('127.0.0.1'), listener.port, reader),
    new RegExp(`can't listen on UDP 127\\.0\\.0\\.1:${listener.port}`),
  );
  await listener.close();
  assert.equal(formatEndpoint(parseAddress('2001:db8::1'), 9), '[2001:db8::1]:9');
});

test('many datagrams that wait together all come, whole and each with its own peer', async () => {
  const seen: string[] = [];
  const listener = await listenUdp(parseAddress('::'), 0, {
    datagram: (bytes, from) => seen.push(`${from} ${bytes}`),
    lost: noLoss,
    trouble: (error) => assert.fail(error),
  });
  const sockets = [createSocket('udp4'), createSocket('udp6')];
  const targets = ['127.0.0.1', '::1'];
  const sent: string[] = [];
  for (let index = 0; index < 600; index++) {
    const text = `${targets[index % 2]} datagram ${'x'.repeat(index)}`;
    sent.push(text);
    const bytes = text.slice(text.indexOf(' ') + 1);
    await new Promise((done) => sockets[index % 2]?.send(bytes, listener.port, targets[index % 2], done));
  }
  await until('all of them', () => seen.length === sent.length);
  assert.deepEqual(seen.sort(), sent.sort());
  for (const socket of sockets) socket.close();
  await listener.close();
  await listener.close();
});

test('a listener that is closed hears nothing, and its port is free again', async () => {
  const listener = await listenUdp(parseAddress('127.0.0.1'), 0, {
    datagram: assert.fail,
    lost: noLoss,
    trouble: assert.fail,
  });
  await listener.close();
  const again = await listenUdp(parseAddress('127.0.0.1'), listener.port, {
    datagram: () => {},
    lost: () => {},
    trouble: () => {},
  });
  assert.equal(again.port, listener.port);
  await again.close();
});

test('datagrams that the receive buffer had no room for are counted, and those after them come', async () => {
  let [seen, lost] = [0, 0];
  const count = (datagrams: number) => {
    lost += datagrams;
  };
  const reader = { datagram: () => seen++, lost: count, trouble: assert.fail };
  const listener = await listenUdp(parseAddress('127.0.0.1'), 0, reader, 4_096);
  // In one go, so that nothing is read meanwhile.
  const flood = `const s = require('node:dgram').createSocket('udp4'); let left = 400;
    for (let n = 0; n < 400; n++) s.send('x'.repeat(500), ${listener.port}, '127.0.0.1', () => --left || s.close());`;
  spawnSync(process.execPath, ['-e', flood]);
  await until('all are read or lost', () => seen + lost === 400);
  assert.ok(seen > 0 && lost > 0, `${seen} read, ${lost} lost`);
  const socket = createSocket('udp4');
  const before = seen;
  socket.send('x', listener.port, '127.0.0.1');
  await until('the next one', () => seen > before);
  assert.equal(seen + lost, 401);
  socket.close();
  await listener.close();
});
