/**
 * Requests and answers on a netlink socket, synchronously. nfnetlink works inside send(): when it returns, every
 * acknowledgement is already in the receive queue, so nothing here waits.
 */

import { PosternError } from '../errors.js';
import {
  type Acknowledgement,
  align,
  CONTROL,
  HEADER_BYTES,
  type NetlinkMessage,
  readAcknowledgement,
  readMessages,
} from '../wire/netlink.js';
import { NFT } from '../wire/nftables.js';
import { ElementTable } from '../wire/nftables-element-table.js';
import { readGeneration } from '../wire/nftables-generation.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import { type DumpBounds, KernelRefusal, type ListOptions, type TransactionResult } from './exchange.js';
import { type CallError, ERRNO } from './layouts.js';
import { type NlSocket, openNlSocket } from './nl-socket.js';

/** The kernel cuts dumps into datagrams of at most 32 KiB; a larger buffer than that is never filled. */
export const RECEIVE_BYTES = 65_536;

/** Room for a transaction of some 500,000 elements. */
const SEND_BUFFER_BYTES = 16 << 20;
/** Room for a refusal of each of some thousand messages. */
const RECEIVE_BUFFER_BYTES = 8 << 20;

/** A socket with room for large transactions, for nfnetlink (nf_tables, ctnetlink, ipset). */
export function openNetfilterSocket(namespace?: string): NlSocket {
  return openNlSocket({
    protocol: 'NETFILTER',
    ...(namespace === undefined ? {} : { namespace }),
    sendBufferBytes: SEND_BUFFER_BYTES,
    receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    own: 'known',
  });
}

function throwRefusal(acknowledgement: Acknowledgement): void {
  if (acknowledgement.errno !== 0) throw new KernelRefusal(acknowledgement);
}

function sendAll(socket: NlSocket, message: Buffer): void {
  try {
    socket.send(message);
  } catch (error) {
    throw sendFailure(error as CallError, message.length);
  }
}

function sendFailure(error: CallError, bytes: number): PosternError {
  if (error.errno === ERRNO.EMSGSIZE) {
    return new PosternError('full', `a netlink message of ${bytes} bytes is larger than the send buffer`, {
      cause: error,
    });
  }
  if (error.errno === ERRNO.ENOBUFS || error.errno === ERRNO.ENOMEM || error.errno === ERRNO.EAGAIN) {
    return new PosternError('busy', `netlink: ${error.message}: the kernel is short of memory; try again`, {
      cause: error,
    });
  }
  return new PosternError('kernel', `netlink: ${error.message}`, { cause: error });
}

function* waiting(socket: NlSocket, buffer: Buffer): Generator<NetlinkMessage> {
  for (let bytes = receive(socket, buffer); bytes >= 0; bytes = receive(socket, buffer)) {
    yield* readMessages(buffer.subarray(0, bytes));
  }
}

function receive(socket: NlSocket, buffer: Buffer): number {
  try {
    return socket.receive(buffer);
  } catch (error) {
    const { errno, message } = error as CallError;
    if (errno !== ERRNO.ENOBUFS) throw new PosternError('kernel', `netlink: ${message}`, { cause: error });
    throw new PosternError('busy', 'netlink: answers of the kernel were lost, so the result is unknown', {
      cause: error,
    });
  }
}

/** One request, synchronously. @throws KernelRefusal, PosternError `busy` */
export function requestNow(socket: NlSocket, message: Buffer, buffer: Buffer): NetlinkMessage[] {
  const seq = message.readUInt32LE(8);
  drain(socket, buffer);
  sendAll(socket, message);
  const answers: NetlinkMessage[] = [];
  for (const answer of waiting(socket, buffer)) {
    if (answer.seq !== seq) continue;
    if (answer.type !== CONTROL.ERROR) answers.push({ ...answer, body: Buffer.from(answer.body) });
    else throwRefusal(readAcknowledgement(answer));
  }
  return answers;
}

/** One transaction, synchronously. @throws PosternError `busy`, `full`, `kernel` */
export function transactNow(socket: NlSocket, batch: Buffer, buffer: Buffer): TransactionResult {
  drain(socket, buffer);
  sendAll(socket, batch);
  const first = batch.readUInt32LE(8);
  const refused: Acknowledgement[] = [];
  let acknowledged = false;
  let generation: number | undefined;
  for (const message of waiting(socket, buffer)) {
    if (message.type === NFT.NEWGEN) generation = readGeneration(message.body).id;
    if (message.type !== CONTROL.ERROR) continue;
    const answer = readAcknowledgement(message);
    if (answer.seq < first) continue;
    if (answer.errno === 0) acknowledged = true;
    else refused.push(answer);
  }
  if (!acknowledged && refused.length === 0) {
    throw new PosternError('busy', 'netlink: the kernel did not answer a transaction, so the result is unknown');
  }
  return generation === undefined ? { refused } : { refused, generation };
}

/** What a request that was given up left behind must not be taken for an answer to the next. */
function drain(socket: NlSocket, buffer: Buffer): void {
  for (;;) {
    try {
      if (socket.receive(buffer) < 0) return;
    } catch {
      // An overflow is reported once; what it lost is of no interest here.
    }
  }
}

/** The datagrams of a dump up to its end; each is valid until the next step. @throws KernelRefusal, PosternError `busy` */
export function* dumpNow(
  socket: NlSocket,
  message: Buffer,
  bounds: DumpBounds,
  buffer: Buffer,
): Generator<Buffer, undefined, undefined> {
  const seq = message.readUInt32LE(8);
  const deadline = Date.now() + bounds.timeoutMs;
  drain(socket, buffer);
  sendAll(socket, message);
  for (let datagrams = 0; ; datagrams++) {
    if (datagrams >= bounds.maxDatagrams || Date.now() > deadline) {
      throw new PosternError('busy', 'a listing did not end: the set changes faster than it can be read');
    }
    const bytes = receive(socket, buffer);
    if (bytes < HEADER_BYTES) throw new PosternError('busy', 'netlink: a listing broke off before its end');
    const datagram = buffer.subarray(0, bytes);
    yield datagram;
    if (endsDump(datagram, seq)) return undefined;
  }
}

/** The entries of a dump's datagram. @throws KernelRefusal when it carries the kernel's refusal */
export function dumpEntries(datagram: Buffer, seq: number): NetlinkMessage[] {
  const messages = readMessages(datagram).filter((message) => message.seq === seq);
  for (const message of messages) throwDumpError(message);
  return messages.filter(({ type }) => type > CONTROL.OVERRUN);
}

function endsDump(datagram: Buffer, seq: number): boolean {
  for (let at = 0; at + HEADER_BYTES <= datagram.length; at += align(Math.max(datagram.readUInt32LE(at), 1))) {
    const type = datagram.readUInt16LE(at + 4);
    if ((type === CONTROL.DONE || type === CONTROL.ERROR) && datagram.readUInt32LE(at + 8) === seq) return true;
  }
  return false;
}

function throwDumpError(message: NetlinkMessage): void {
  if (message.type === CONTROL.ERROR) throwRefusal(readAcknowledgement(message));
  else if (message.type === CONTROL.DONE) throwDoneError(message);
}

/** NLMSG_DONE carries the error that ended a dump early. */
function throwDoneError(done: NetlinkMessage): void {
  const errno = done.body.length >= 4 ? -done.body.readInt32LE(0) : 0;
  if (errno !== 0) throw new KernelRefusal({ seq: done.seq, errno });
}

/** Datagrams in a row that bring nothing new: a listing that can't end, because the set changes under it. */
const IDLE_DATAGRAMS = 8;

/** Lists a set's elements; steps once for each datagram. @throws KernelRefusal, PosternError `busy` */
export function* listNow(
  socket: NlSocket,
  message: Buffer,
  bounds: DumpBounds,
  { pairs, reset }: ListOptions,
  buffer: Buffer,
): Generator<undefined, PackedElements, undefined> {
  const seq = message.readUInt32LE(8);
  const table = new ElementTable(reset);
  let idle = 0;
  for (const datagram of dumpNow(socket, message, bounds, buffer)) {
    let added = 0;
    for (const { body } of dumpEntries(datagram, seq)) added += table.take(body);
    idle = added > 0 ? 0 : idle + 1;
    if (idle >= IDLE_DATAGRAMS) break;
    yield undefined;
  }
  return table.pack(pairs);
}
