import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { formatEndpoint, listenUdp } from '../../src/services/udp.js';

test('datagrams come with their peer, over IPv4, IPv6, and IPv4 on an IPv6 socket', async () => {
  for (const [listen, target, peer] of [
    ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['::1', '::1', '::1'],
    ['::', '127.0.0.1', '127.0.0.1'],
  ] as const) {
    const seen = new EventEmitter();
    const listener = await listenUdp(parseAddress(listen), 0, {
      datagram: (bytes, from) => seen.emit('datagram', `${bytes} from ${from}`),
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
  const reader = { datagram: () => {}, trouble: () => {} };
  const listener = await listenUdp(parseAddress('127.0.0.1'), 0, reader);
  await assert.rejects(
    listenUdp(parseAddress('127.0.0.1'), listener.port, reader),
    new RegExp(`can't listen on UDP 127\\.0\\.0\\.1:${listener.port}`),
  );
  await listener.close();
  assert.equal(formatEndpoint(parseAddress('2001:db8::1'), 9), '[2001:db8::1]:9');
});
