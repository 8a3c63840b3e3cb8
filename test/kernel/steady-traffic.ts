/** Datagrams that never stop, for what has to go on beside them. */

import assert from 'node:assert/strict';
import type { Namespace } from './namespace.js';

/** Of each datagram, without its headers. */
export const steadyBytes = 32;

/** Sends to both families in turn, as fast as one process can, until it is told to stop or two minutes are over. */
const sender = (ipv4: string, ipv6: string) => `
const dgram = require('node:dgram');
const targets = [['udp4', '${ipv4}'], ['udp6', '${ipv6}']];
const sockets = targets.map(([type, address]) => ({ socket: dgram.createSocket(type), address }));
let rounds = 0;
let stopped = false;
process.on('SIGTERM', () => { stopped = true; });
setTimeout(() => { stopped = true; }, 120_000).unref();
const send = ({ socket, address }) =>
  new Promise((resolve, reject) => {
    socket.send('x'.repeat(${steadyBytes}), 9, address, (error) => (error ? reject(error) : resolve()));
  });
(async () => {
  for (; !stopped; rounds += 1) {
    for (const target of sockets) await send(target);
    // Answers to send() come before signals.
    if (rounds % 64 === 0) await new Promise(setImmediate);
  }
  for (const { socket } of sockets) socket.close();
  console.log(rounds);
})();
`;

/** Begins to send to port 9 of two neighbours; `stop` answers how many datagrams each of them was sent. */
export async function steadyTraffic(from: Namespace, ipv4: string, ipv6: string): Promise<{ stop(): Promise<bigint> }> {
  // A neighbour that is not known yet holds packets back, and drops some.
  for (const address of [ipv4, ipv6]) await from.run('ping', '-q', '-c1', address);
  const sending = from.start(process.execPath, ['-e', sender(ipv4, ipv6)]);
  return {
    async stop() {
      sending.kill('SIGTERM');
      const { exitCode, stdout, stderr } = await sending;
      assert.equal(exitCode, 0, String(stderr));
      return BigInt(String(stdout));
    },
  };
}
