/** Killing connections: the conntrack entries of an address. */

import { PosternError } from '../errors.js';
import { type Address, addressBytes } from '../net/address.js';
import {
  readState,
  type StateEntry,
  type TupleDirection,
  writeDeleteBySource,
  writeDeleteState,
  writeStatesRequest,
} from '../wire/conntrack.js';
import { type FlowMark, writeFlowMark } from '../wire/conntrack-flows.js';
import { FLAG, MessageWriter } from '../wire/netlink.js';
import { type Exchange, KernelRefusal } from './exchange.js';
import { ERRNO } from './layouts.js';

const DIRECTIONS: readonly TupleDirection[] = ['original', 'reply'];
/** A table of a million entries is some 10,000 datagrams. */
const BOUNDS = { maxDatagrams: 50_000, timeoutMs: 30_000 };

/**
 * Deletes the entries of connections from an address, and of those to it (behind DNAT: to the real host).
 * @param filter whether the kernel deletes by CTA_FILTER, as the probe found out; else all entries are listed.
 * @throws PosternError `kernel`, `busy`.
 */
export async function killStates(exchange: Exchange, address: Address, filter: boolean): Promise<void> {
  if (!filter) return killListed(exchange, address);
  for (const direction of DIRECTIONS) {
    const writer = new MessageWriter(128);
    writeDeleteBySource(writer, 1, address, direction);
    await absentIsFine(exchange.request(writer.finish()));
  }
}

/** @throws PosternError `not-found` when there is no such connection (any more). */
export async function markConnection(exchange: Exchange, connection: FlowMark): Promise<void> {
  const writer = new MessageWriter(256);
  writeFlowMark(writer, 1, connection);
  try {
    await exchange.request(writer.finish());
  } catch (error) {
    if (!(error instanceof KernelRefusal) || error.errno !== ERRNO.ENOENT) throw error;
    throw new PosternError('not-found', 'there is no such connection any more', { cause: error });
  }
}

async function killListed(exchange: Exchange, address: Address): Promise<void> {
  const wanted = addressBytes(address);
  const writer = new MessageWriter(64);
  writeStatesRequest(writer, 1, address.family);
  const found: Buffer[] = [];
  await exchange.dump(writer.finish(), BOUNDS, (messages) => {
    for (const { type, body } of messages) {
      const entry = readState(type, body);
      if (entry !== undefined && concerns(entry, wanted)) found.push(deletion(entry));
    }
    return true;
  });
  for (const message of found) await absentIsFine(exchange.request(message));
}

function concerns({ originalSource, replySource }: StateEntry, wanted: Uint8Array): boolean {
  return originalSource.equals(wanted) || replySource.equals(wanted);
}

function deletion(entry: StateEntry): Buffer {
  const writer = new MessageWriter(256);
  writeDeleteState(writer, 1, entry, FLAG.ACK);
  return writer.finish();
}

/** A connection that ended by itself meanwhile is as dead as one that was killed. */
async function absentIsFine(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof KernelRefusal && error.errno === ERRNO.ENOENT)) throw error;
  }
}
