/**
 * Sends the 64-byte datagrams of a file to a port of the loopback, so many a second, until it is killed or has sent them all.
 *
 *     node datagram-sender.js FILE PORT PER_SECOND
 */

import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const datagramBytes = 64;
const tickMs = 5;

const [file, port, perSecond] = process.argv.slice(2) as [string, string, string];
const datagrams = readFileSync(file);
const socket = createSocket('udp4');
const startedAt = performance.now();
for (let sent = 0; sent * datagramBytes < datagrams.length; ) {
  const due = Math.min(datagrams.length / datagramBytes, (Number(perSecond) * (performance.now() - startedAt)) / 1000);
  for (; sent < due; sent++) {
    const datagram = datagrams.subarray(sent * datagramBytes, (sent + 1) * datagramBytes);
    await new Promise((done) => socket.send(datagram, Number(port), '127.0.0.1', done));
  }
  await sleep(tickMs);
}
socket.close();
