/** `postern pftabled …`; `send` is also the program `pftabled-client`. */

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { pftabledKey } from '../wire/pftabled.js';
import type { CommandGroup, RawCommand } from './command.js';
import { type ClientOutcome, clientName, pftabledClient } from './pftabled-client.js';

const send: RawCommand = {
  summary: 'send a request to a pftabled server, as pftabled-client does: HOST PORT TABLE add|del|flush [IP[/MASK]]',
  async raw(argv, io) {
    const outcome = await pftabledClient(argv, {
      readKey: (path) => readFile(path).then(pftabledKey).catch(nothing),
      resolve,
      unixTime: () => Math.floor(Date.now() / 1000),
      env: io.env,
    });
    const stderr = 'stderr' in outcome ? outcome.stderr : await sendOut(outcome);
    if (stderr === undefined) return 0;
    io.err(stderr);
    return 1;
  },
};

export const pftabled: CommandGroup = {
  summary: 'send requests to a pftabled server, as pftabled-client does',
  commands: { send },
};

async function resolve(host: string): Promise<string | undefined> {
  const found = host === '' ? undefined : await lookup(host, { family: 4 }).catch(nothing);
  // An IPv6 literal comes back as it is, whatever family was asked for.
  return found?.family === 4 ? found.address : undefined;
}

/** Answers what went wrong. */
function sendOut(outcome: Exclude<ClientOutcome, { stderr: string }>): Promise<string | undefined> {
  return new Promise((settle) => {
    const socket = createSocket('udp4');
    const finish = (error: Error | null) => {
      socket.close();
      settle(error === null ? undefined : `${clientName}: Unable to send: ${error.message}\n`);
    };
    try {
      socket.send(outcome.send, outcome.port, outcome.address, finish);
    } catch (error) {
      finish(error as Error);
    }
  });
}

function nothing(): undefined {
  return undefined;
}
