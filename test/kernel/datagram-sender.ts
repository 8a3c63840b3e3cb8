/**
 * Sends the 64-byte datagrams of a file to a port of the loopback, so many a second, until it is killed or has sent them
 * all; then it writes the seconds that it took. Many go with one call: one by one the sender would be what is measured.
 *
 *     node datagram-sender.js FILE PORT PER_SECOND
 */

import { readFileSync } from 'node:fs';
import {
  AF,
  addressOf,
  CallError,
  fixedBuffer,
  IOVEC,
  lastErrno,
  libc,
  MMSGHDR,
  MSGHDR,
  SOCK,
} from '../../src/kernel/layouts.js';
import { socketName } from '../../src/kernel/socket-options.js';
import { parseAddress } from '../../src/net/address.js';
import { pftabledBytes } from '../../src/wire/pftabled.js';

/** Datagrams of one call. */
const most = 256;
const pauseMs = 1;

const [file, port, perSecond] = process.argv.slice(2) as [string, string, string];
const read = readFileSync(file);
const datagrams = fixedBuffer(read.length);
read.copy(datagrams);
const count = datagrams.length / pftabledBytes;

const fd = libc.socket(AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0);
const name = socketName(parseAddress('127.0.0.1'), Number(port));
const vectors = fixedBuffer(most * IOVEC.BYTES);
const headers = fixedBuffer(most * MMSGHDR.BYTES);
for (let index = 0; index < most; index++) {
  const header = index * MMSGHDR.BYTES;
  headers.writeBigUInt64LE(addressOf(name), header + MSGHDR.NAME);
  headers.writeUInt32LE(name.length, header + MSGHDR.NAME_LENGTH);
  headers.writeBigUInt64LE(addressOf(vectors) + BigInt(index * IOVEC.BYTES), header + MSGHDR.IOV);
  headers.writeBigUInt64LE(1n, header + MSGHDR.IOV_COUNT);
  vectors.writeBigUInt64LE(BigInt(pftabledBytes), index * IOVEC.BYTES + IOVEC.LENGTH);
}

const datagramsAt = addressOf(datagrams);
const sleeping = new Int32Array(new SharedArrayBuffer(4));
const startedAt = performance.now();
for (let sent = 0; sent < count; ) {
  const due = Math.min(count, (Number(perSecond) * (performance.now() - startedAt)) / 1000);
  while (sent < due) sent += send(sent, Math.min(most, Math.ceil(due) - sent));
  Atomics.wait(sleeping, 0, 0, pauseMs);
}
process.stdout.write(`${(performance.now() - startedAt) / 1000}\n`);
libc.close(fd);

/** Answers how many went. */
function send(from: number, wanted: number): number {
  for (let index = 0; index < wanted; index++) {
    vectors.writeBigUInt64LE(datagramsAt + BigInt((from + index) * pftabledBytes), index * IOVEC.BYTES + IOVEC.BASE);
  }
  const sent = libc.sendmmsg(fd, headers, wanted, 0);
  if (sent < 0) throw new CallError('sendmmsg', lastErrno());
  return sent;
}
