/** Who asks: kept with the entries they add and in the log. */

import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { Source } from '../engine/tables.js';
import { peerCredentials } from '../kernel/peer.js';

/** The command line names itself by this header; it says how a change came, not who may do what. */
const clientHeader = 'x-postern-client';

/** A TCP peer by its address, a local one by its user number. */
export function callerOf(request: FastifyRequest): Source {
  const kind = request.headers[clientHeader] === 'cli' ? 'cli' : 'rest';
  const { remoteAddress } = request.raw.socket;
  if (remoteAddress !== undefined) return { kind: 'rest', id: remoteAddress };
  const peer = peerCredentials(descriptorOf(request.raw.socket));
  return { kind, id: peer === undefined ? 'local' : `uid ${peer.uid}` };
}

/** Node has no documented way to a socket's descriptor. */
function descriptorOf(socket: Socket): number {
  const { _handle } = socket as { _handle?: { fd?: unknown } };
  return typeof _handle?.fd === 'number' ? _handle.fd : -1;
}
