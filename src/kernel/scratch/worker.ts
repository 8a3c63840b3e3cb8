/** The thread of a scratch host: it alone is in the namespace, and all that it does is synchronous. */

import { parentPort } from 'node:worker_threads';
import { asPosternError, PosternError } from '../../errors.js';
import type { FromScratch, ToScratch } from './messages.js';
import { loadText } from './nft-text.js';
import { leaveForNewNamespace, World } from './world.js';

const port = parentPort!;
let world: World | undefined;

/** Devices that are no longer used are closed when nobody waits: each close takes the kernel 30 ms. */
const abandoned: World[] = [];

function obey(message: ToScratch): FromScratch {
  const { id } = message;
  switch (message.do) {
    case 'open':
      leaveForNewNamespace();
      return { id, done: true };
    case 'build': {
      if (world !== undefined) {
        abandoned.push(world);
        world = undefined;
        leaveForNewNamespace();
      }
      world = new World();
      return { id, problems: world.build(message.host) };
    }
    case 'load':
      built();
      loadText(message.text);
      return { id, done: true };
    case 'listen':
      built().listen(message.groups);
      return { id, done: true };
    case 'serve':
      built().serve(message.sockets);
      return { id, done: true };
    case 'exchange':
      return { id, answers: message.messages.map((request) => built().exchange(message.protocol, request)) };
    case 'inject':
      return { id, runs: message.packets.map((injection) => built().inject(injection)) };
    case 'dispose':
      // The kernel takes everything back with the thread.
      port.close();
      return { id, done: true };
  }
}

function built(): World {
  if (world === undefined) throw new PosternError('internal', 'a scratch host is used before it is built');
  return world;
}

port.on('message', (message: ToScratch) => {
  try {
    port.postMessage(obey(message));
  } catch (error) {
    const { code, message: text } = asPosternError(error);
    port.postMessage({ id: message.id, failed: { code, message: text } } satisfies FromScratch);
  }
  if (abandoned.length > 0) setImmediate(() => abandoned.pop()?.close());
});
