/**
 * Requests and answers on a netlink socket. nfnetlink works inside send(): when it returns, every acknowledgement is
 * already in the receive queue, so nothing here waits. What takes long (a big transaction, a failed one, a listing)
 * blocks the thread: `netlinkThread` runs an exchange elsewhere behind the same interface.
 */

import { PosternError } from '../errors.js';
import {
  type Acknowledgement,
  CONTROL,
  FLAG,
  HEADER_BYTES,
  type NetlinkMessage,
  readAcknowledgement,
  readMessages,
} from '../wire/netlink.js';
import { type CallError, ERRNO, errnoName, fixedBuffer } from './layouts.js';
import { type NlSocket, openNlSocket } from './nl-socket.js';

/** What became of a transaction. */
export interface TransactionResult {
  /** Each message that the kernel refused; any refusal means that nothing was changed. Empty: committed. */
  readonly refused: readonly Acknowledgement[];
}

export interface DumpBounds {
  readonly maxDatagrams: number;
  readonly timeoutMs: number;
}

export interface Exchange {
  /**
   * Sends a batch whose last inner message asks for an acknowledgement.
   * @throws PosternError `busy` when the result is unknown (answers were lost): read the state again;
   *   `full` when the batch is larger than the socket's send buffer; `kernel`.
   */
  transact(batch: Buffer): Promise<TransactionResult>;
  /** Sends one message and answers what came back. @throws KernelRefusal */
  request(message: Buffer): Promise<NetlinkMessage[]>;
  /**
   * Sends a dump request and gives each datagram's messages to `take`, which may end the dump by answering false.
   * @throws PosternError `busy` at a bound; KernelRefusal
   */
  dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** The kernel said no to a single request. */
export class KernelRefusal extends PosternError {
  constructor(readonly acknowledgement: Acknowledgement) {
    super('kernel', `the kernel refused: ${refusalText(acknowledgement)}`);
  }

  get errno(): number {
    return this.acknowledgement.errno;
  }
}

/** `ENOENT (No such set)`. */
export function refusalText({ errno, reason }: Acknowledgement): string {
  return reason === undefined ? errnoName(errno) : `${errnoName(errno)} (${reason})`;
}

/** The kernel cuts dumps into datagrams of at most 32 KiB; a larger buffer than that is never filled. */
const RECEIVE_BYTES = 65_536;

/** An exchange on the calling thread. `open` makes its socket, and a new one after a dump was broken off. */
export class SocketExchange implements Exchange {
  #socket: NlSocket | undefined;
  readonly #buffer = fixedBuffer(RECEIVE_BYTES);

  constructor(private readonly open: () => NlSocket) {
    this.#socket = open();
  }

  async transact(batch: Buffer): Promise<TransactionResult> {
    return transactNow(this.#ready(), batch, this.#buffer);
  }

  async request(message: Buffer): Promise<NetlinkMessage[]> {
    const socket = this.#ready();
    const seq = message.readUInt32LE(8);
    drain(socket, this.#buffer);
    sendAll(socket, message);
    const answers: NetlinkMessage[] = [];
    for (const answer of waiting(socket, this.#buffer)) {
      if (answer.seq !== seq) continue;
      if (answer.type !== CONTROL.ERROR) answers.push({ ...answer, body: Buffer.from(answer.body) });
      else throwRefusal(readAcknowledgement(answer));
    }
    return answers;
  }

  async dump(message: Buffer, bounds: DumpBounds, take: (messages: NetlinkMessage[]) => boolean): Promise<void> {
    let finished = false;
    try {
      for (const messages of dumpNow(this.#ready(), message, bounds, this.#buffer)) {
        if (!take(messages)) return;
      }
      finished = true;
    } finally {
      // A dump that is not read to its end stays with the socket and blocks the next one.
      if (!finished) this.#drop();
    }
  }

  async close(): Promise<void> {
    this.#drop();
  }

  #ready(): NlSocket {
    this.#socket ??= this.open();
    return this.#socket;
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** Room for a transaction of some 500,000 elements. */
const SEND_BUFFER_BYTES = 16 << 20;
/** Room for a refusal of each of some thousand messages. */
const RECEIVE_BUFFER_BYTES = 8 << 20;

/** An exchange with nfnetlink (nf_tables, ctnetlink) of a network namespace, on the calling thread. */
export function netfilterExchange(namespace?: string): SocketExchange {
  return new SocketExchange(() =>
    openNlSocket({
      protocol: 'NETFILTER',
      ...(namespace === undefined ? {} : { namespace }),
      sendBufferBytes: SEND_BUFFER_BYTES,
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    }),
  );
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

/** One transaction, synchronously. */
export function transactNow(socket: NlSocket, batch: Buffer, buffer: Buffer): TransactionResult {
  drain(socket, buffer);
  sendAll(socket, batch);
  const first = batch.readUInt32LE(8);
  const refused: Acknowledgement[] = [];
  let acknowledged = false;
  for (const message of waiting(socket, buffer)) {
    if (message.type !== CONTROL.ERROR) continue;
    const answer = readAcknowledgement(message);
    if (answer.seq < first) continue;
    if (answer.errno === 0) acknowledged = true;
    else refused.push(answer);
  }
  if (!acknowledged && refused.length === 0) {
    throw new PosternError('busy', 'netlink: the kernel did not answer a transaction, so the result is unknown');
  }
  return { refused };
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

/** The datagrams of a dump, each as its messages; bodies are valid until the next step. */
export function* dumpNow(
  socket: NlSocket,
  message: Buffer,
  bounds: DumpBounds,
  buffer: Buffer,
): Generator<NetlinkMessage[]> {
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
    const messages = readMessages(buffer.subarray(0, bytes)).filter((found) => found.seq === seq);
    const end = messages.find(({ type }) => type === CONTROL.DONE || type === CONTROL.ERROR);
    if (end?.type === CONTROL.ERROR) throwRefusal(readAcknowledgement(end));
    const entries = messages.filter(({ type }) => type > CONTROL.OVERRUN);
    if (entries.length > 0) yield entries;
    if (end !== undefined) return throwDoneError(end);
  }
}

/** NLMSG_DONE carries the error that ended a dump early. */
function throwDoneError(done: NetlinkMessage): void {
  const errno = done.type === CONTROL.DONE && done.body.length >= 4 ? -done.body.readInt32LE(0) : 0;
  if (errno !== 0) throw new KernelRefusal({ seq: done.seq, errno });
}

/** Did the kernel say that the listing may be inconsistent? */
export function interrupted(messages: readonly NetlinkMessage[]): boolean {
  return messages.some(({ flags }) => (flags & FLAG.DUMP_INTERRUPTED) !== 0);
}
