/**
 * The netlink thread: runs transactions, requests and listings where they block nobody. It sleeps until it is sent a
 * message; while a listing runs, other work goes first.
 */

import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { asPosternError, PosternError } from '../errors.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import { KernelRefusal } from './exchange.js';
import { dumpNow, listNow, openNetfilterSocket, RECEIVE_BYTES, requestNow, transactNow } from './exchange-now.js';
import { fixedBuffer } from './layouts.js';
import { noteFd } from './left-fds.js';
import type { NlSocket } from './nl-socket.js';
import {
  FD_SLOT,
  type FromThread,
  type ThreadData,
  type ThreadFailure,
  type ToThread,
  WORD,
} from './thread-messages.js';

const { namespace, port, shared, fds } = workerData as ThreadData;
const words = new Int32Array(shared);
const buffer = fixedBuffer(RECEIVE_BYTES);
const dumpBuffer = fixedBuffer(RECEIVE_BYTES);

/** Sleeping ends by itself now and then, so that the thread can be terminated. */
const SLEEP_MS = 200;
/** Datagrams that may be on their way to a main thread that is busy. */
const DATAGRAMS_AHEAD = 4;
const DUMP_PAUSE_MS = 1;

type Steps = Generator<Buffer | undefined, PackedElements | undefined, undefined>;
type DumpRequest = Extract<ToThread, { do: 'dump' | 'list' }>;

let socket: NlSocket | undefined;
let closed = false;
const dumps: DumpRequest[] = [];
let current: { readonly id: number; readonly socket: NlSocket; readonly steps: Steps } | undefined;
let sentDatagrams = 0;

function tell(message: FromThread, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

function failure(error: unknown): ThreadFailure {
  const { code, message } = asPosternError(error);
  if (!(error instanceof KernelRefusal)) return { code, message };
  return { code, message, acknowledgement: error.acknowledgement };
}

function commands(): NlSocket {
  if (socket === undefined) {
    socket = openNetfilterSocket(namespace);
    noteFd(fds, FD_SLOT.COMMANDS, socket.fd);
  }
  return socket;
}

function obey(message: ToThread): void {
  const { id } = message;
  try {
    if (message.do === 'transact') {
      tell({ id, transaction: transactNow(commands(), asBuffer(message.bytes), buffer) });
    } else if (message.do === 'request') {
      tell({ id, answers: requestNow(commands(), asBuffer(message.bytes), buffer) });
    } else if (message.do === 'dump' || message.do === 'list') {
      dumps.push(message);
    } else if (message.do === 'stop') {
      stopDump(id);
    } else {
      closed = true;
    }
  } catch (error) {
    tell({ id, failed: failure(error) });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function stopDump(id: number): void {
  const waiting = dumps.findIndex((dump) => dump.id === id);
  if (waiting >= 0) dumps.splice(waiting, 1);
  else if (current?.id === id) endDump();
}

/** The kernel keeps a dump's state with its socket, so each dump has one of its own. */
function startDump(dump: DumpRequest): void {
  try {
    const opened = openNetfilterSocket(namespace);
    noteFd(fds, FD_SLOT.DUMP, opened.fd);
    const { id, bounds } = dump;
    const bytes = asBuffer(dump.bytes);
    const steps: Steps =
      dump.do === 'dump'
        ? dumpNow(opened, bytes, bounds, dumpBuffer)
        : listNow(opened, bytes, bounds, dump.how, dumpBuffer);
    current = { id, socket: opened, steps };
  } catch (error) {
    tell({ id: dump.id, failed: failure(error) });
  }
}

function endDump(): void {
  noteFd(fds, FD_SLOT.DUMP, undefined);
  current?.socket.close();
  current = undefined;
}

/** One datagram of the listing under way, unless the main thread is behind. Answers how long to sleep. */
function stepDump(): number {
  if (current === undefined) {
    const next = dumps.shift();
    if (next !== undefined) startDump(next);
    return next === undefined ? SLEEP_MS : 0;
  }
  if (sentDatagrams - Atomics.load(words, WORD.TAKEN) >= DATAGRAMS_AHEAD) return DUMP_PAUSE_MS;
  const { id, steps } = current;
  try {
    const step = steps.next();
    if (step.done === true) {
      endDump();
      if (step.value === undefined) tell({ id, answers: [] });
      else tellElements(id, step.value);
    } else if (step.value !== undefined) {
      const datagram = Uint8Array.from(step.value);
      sentDatagrams++;
      tell({ id, datagram }, [datagram.buffer]);
    }
  } catch (error) {
    endDump();
    tell({ id, failed: failure(error) });
  }
  return 0;
}

function tellElements(id: number, elements: PackedElements): void {
  const { keys, keyEnds, marks, timeouts, expiries, counters } = elements;
  const columns = [keys, keyEnds, marks, timeouts, expiries, counters].map(({ buffer: column }) => column);
  tell({ id, elements }, columns as ArrayBuffer[]);
}

function run(): void {
  while (!closed) {
    const posted = Atomics.load(words, WORD.POSTED);
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      obey(next.message as ToThread);
    }
    if (closed) break;
    const sleepMs = stepDump();
    if (sleepMs > 0) Atomics.wait(words, WORD.POSTED, posted, sleepMs);
  }
  const unserved = [...dumps.map(({ id }) => id), ...(current === undefined ? [] : [current.id])];
  for (const id of unserved) tell({ id, failed: failure(new PosternError('busy', 'the netlink thread is closing')) });
  endDump();
  noteFd(fds, FD_SLOT.COMMANDS, undefined);
  socket?.close();
  port.close();
}

run();
