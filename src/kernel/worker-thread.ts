/** Threads of the edges: each has a channel of its own, and leaves no socket open however it ends. */

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { closeLeftFds, fdSlots } from './left-fds.js';

export interface WorkerThread {
  readonly worker: Worker;
  /** This side's end of the channel. */
  readonly port: MessagePort;
  readonly ended: Promise<void>;
}

/** What every thread is given. */
interface ThreadEnds {
  /** Its end of the channel. */
  readonly port: MessagePort;
  /** Where it notes its sockets. */
  readonly fds: SharedArrayBuffer;
}

interface ThreadStart<Data extends ThreadEnds> {
  readonly module: URL;
  /** Most sockets that it has open. */
  readonly sockets: number;
  readonly data: Omit<Data, keyof ThreadEnds>;
  /** Called once, with what it died of, if it did; its sockets are closed then. */
  readonly ended: (reason: unknown) => void;
}

export function startThread<Data extends ThreadEnds>(start: ThreadStart<Data>): WorkerThread {
  const { port1, port2 } = new MessageChannel();
  const fds = fdSlots(start.sockets);
  const worker = new Worker(start.module, {
    workerData: { ...start.data, port: port2, fds },
    transferList: [port2],
    execArgv: [],
  });
  let reason: unknown;
  const ended = new Promise<void>((resolve) => {
    worker.on('error', (error) => {
      reason = error;
    });
    worker.once('exit', () => {
      closeLeftFds(fds);
      start.ended(reason);
      resolve();
    });
  });
  return { worker, port: port1, ended };
}
