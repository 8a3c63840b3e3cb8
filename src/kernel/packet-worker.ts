/**
 * The packet thread: reads logged packets of all duties' groups, runs the duties, sends their replies. It sleeps in poll;
 * a message of the main thread wakes it by an eventfd. Only to load duties it returns to its event loop.
 */

import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { asPosternError, PosternError } from '../errors.js';
import { LoggedPacket } from '../wire/nflog.js';
import { DutyRunner } from './duty-runner.js';
import { fixedBuffer, libc, POLL, POLLFD } from './layouts.js';
import { noteFd } from './left-fds.js';
import { LogSocket } from './log-socket.js';
import type { CreateDuty, DutySpec, PacketDuty } from './packet-duty.js';
import {
  COUNTERS,
  type FromPacketWorker,
  MAX_DUTIES,
  PACKET_FDS,
  type PacketWorkerData,
  type PlacedDuty,
  SENDER_COUNTERS,
  type ToPacketWorker,
} from './packet-messages.js';
import { RawSender } from './raw-sender.js';

const { namespace, port, wakeFd, counters, fds } = workerData as PacketWorkerData;

const POLL_MS = 100;
/** Datagrams read before messages and ticks get their turn. */
const DATAGRAMS_A_TURN = 64;

const runners = new Map<number, DutyRunner>();
const sender = new RawSender(namespace);
const senderRow = rowOf(MAX_DUTIES);
let nowMs = performance.now();

const log = new LogSocket(
  namespace,
  {
    packet: (packet) => runners.get(packet.group)?.packet(packet, nowMs),
    // The sequence gap counts it.
    malformed: () => {},
  },
  new LoggedPacket(),
);

for (const [slot, fd] of [log.fd, ...sender.fds].entries()) noteFd(fds, slot, fd);

const polled = fixedBuffer(2 * POLLFD.BYTES);
[log.fd, wakeFd].forEach((fd, index) => {
  polled.writeInt32LE(fd, index * POLLFD.BYTES + POLLFD.FD);
  polled.writeInt16LE(POLL.IN, index * POLLFD.BYTES + POLLFD.EVENTS);
});
const wakeCount = fixedBuffer(8);

function rowOf(row: number): Float64Array {
  return new Float64Array(counters, row * COUNTERS.length * 8, COUNTERS.length);
}

function tell(message: FromPacketWorker): void {
  port.postMessage(message);
}

/** Works until the main thread wants something. */
function untilMessage(): ToPacketWorker {
  let tickedMs = nowMs;
  for (;;) {
    libc.poll(polled, 2, POLL_MS);
    for (let datagrams = 0; datagrams < DATAGRAMS_A_TURN; datagrams++) {
      nowMs = performance.now();
      if (!log.read()) break;
      flush();
    }
    if (nowMs - tickedMs >= POLL_MS) {
      tickedMs = nowMs;
      tick();
    }
    tellEvents();
    libc.read(wakeFd, wakeCount, 8);
    const received = receiveMessageOnPort(port);
    if (received !== undefined) return received.message as ToPacketWorker;
  }
}

function tick(): void {
  for (const runner of runners.values()) {
    runner.tick(nowMs);
    const threshold = runner.newThreshold(nowMs);
    if (threshold !== undefined) log.setThreshold(runner.spec.group, threshold);
  }
  flush();
}

function flush(): void {
  sender.flush();
  SENDER_COUNTERS.forEach((name, index) => {
    senderRow[index] = name === 'sent' ? sender.counts.sent : sender.counts.failed;
  });
}

function tellEvents(): void {
  const events = [...runners.values()].flatMap((runner) =>
    runner.takeEvents().map((event) => ({ duty: runner.spec.name, event })),
  );
  if (events.length > 0) tell({ events });
}

async function load({ module, name, spec }: DutySpec): Promise<PacketDuty> {
  try {
    const { createDuty } = (await import(module)) as { createDuty: CreateDuty };
    return createDuty(spec);
  } catch (error) {
    throw new PosternError('internal', `duty ${name}: ${asPosternError(error).message}`, { cause: error });
  }
}

/** All of the new duties or none: modules are loaded and groups taken before the old ones go. */
async function setDuties(placed: readonly PlacedDuty[]): Promise<void> {
  const next = new Map<number, DutyRunner>();
  for (const { duty, row } of placed) {
    const old = runners.get(duty.group);
    const kept = old !== undefined && JSON.stringify(old.spec) === JSON.stringify(duty);
    next.set(duty.group, kept ? old : new DutyRunner(duty, await load(duty), rowOf(row), sender));
  }
  const taken: number[] = [];
  try {
    for (const [group, { spec }] of next) {
      if (runners.has(group)) continue;
      log.bind(group, spec.copyBytes);
      taken.push(group);
    }
  } catch (error) {
    for (const group of taken) log.unbind(group);
    throw error;
  }
  sender.setMark(placed.find(({ duty }) => duty.replyMark !== undefined)?.duty.replyMark ?? 0);
  replaceRunners(next);
}

function replaceRunners(next: ReadonlyMap<number, DutyRunner>): void {
  for (const group of runners.keys()) if (!next.has(group)) log.unbind(group);
  for (const [group, runner] of next) {
    const old = runners.get(group);
    if (old !== undefined && old.spec.copyBytes !== runner.spec.copyBytes) log.configure(group, runner.spec.copyBytes);
    if (old !== runner) runner.rebound();
  }
  runners.clear();
  for (const [group, runner] of next) runners.set(group, runner);
}

async function run(): Promise<void> {
  for (;;) {
    const message = untilMessage();
    if (message.do === 'close') break;
    try {
      await setDuties(message.duties);
      tell({ id: message.id, done: true });
    } catch (error) {
      const { code, message: text } = asPosternError(error);
      tell({ id: message.id, failed: { code, message: text } });
    }
  }
  tellEvents();
  for (let slot = 0; slot < PACKET_FDS; slot++) noteFd(fds, slot, undefined);
  log.close();
  sender.close();
  port.close();
}

await run();
