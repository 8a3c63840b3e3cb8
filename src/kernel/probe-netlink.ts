/**
 * What this kernel's netlink can do, found out by doing it: in a network namespace without a name, or, where none may be
 * made, on a table that is added and deleted again.
 */

import { parseAddress } from '../net/address.js';
import { readState, writeDeleteBySource, writeNewState, writeStatesRequest } from '../wire/conntrack.js';
import { FLAG, MessageWriter } from '../wire/netlink.js';
import { NFPROTO, writeBatchBegin, writeBatchEnd } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { writeElements } from '../wire/nftables-element-writer.js';
import { readElements, type WireElement } from '../wire/nftables-elements.js';
import { writeScratchSet, writeScratchTable, writeScratchTableDelete } from '../wire/nftables-scratch.js';
import type { Exchange } from './exchange.js';
import { inScratchNamespace } from './netns.js';
import type { NfFeatures } from './nf.js';
import { openNlSocket } from './nl-socket.js';
import { netfilterExchange, SocketExchange } from './socket-exchange.js';

export interface NetlinkFeatures extends NfFeatures {
  /** Deleting conntrack entries by address in one request (CTA_FILTER). */
  readonly filterStates: boolean;
}

const SET = { family: NFPROTO.inet, table: `postern_probe_${process.pid}`, set: 'probe' } as const;
const PRESENT = Uint8Array.of(192, 0, 2, 1);
const ABSENT = Uint8Array.of(192, 0, 2, 2);

/**
 * Tries each feature. What can't be tried without a namespace of its own counts as missing: its replacement is slower,
 * never wrong.
 * @param namespace where to try when no scratch namespace may be made
 * @throws PosternError `system` without CAP_NET_ADMIN, `kernel` when nf_tables is missing.
 */
export async function probeNetlink(namespace?: string): Promise<NetlinkFeatures> {
  const scratch = openScratch();
  const exchange = scratch ?? netfilterExchange(namespace);
  try {
    const elements = await probeElements(exchange);
    const filterStates = scratch !== undefined && (await deletesStatesByFilter(scratch));
    return { ...elements, filterStates };
  } finally {
    await exchange.close();
  }
}

function openScratch(): Exchange | undefined {
  try {
    const socket = inScratchNamespace(() => openNlSocket({ protocol: 'NETFILTER' }));
    return new SocketExchange(() => socket);
  } catch {
    return undefined;
  }
}

async function probeElements(exchange: Exchange): Promise<NfFeatures> {
  const counter = { packets: 5n, bytes: 50n };
  await tried(exchange, (writer) => {
    writeScratchTable(writer, 2, SET.table);
    writeScratchSet(writer, 3, SET.table, SET.set);
    writeElements(writer, NFT.NEWSETELEM, FLAG.CREATE | FLAG.ACK, 4, SET, [
      { key: PRESENT, timeoutMs: 60_000, counter },
    ]);
  });
  try {
    return {
      destroy: await accepts(exchange, NFT.DESTROYSETELEM, { key: ABSENT }),
      updateTimeout: await updatesTimeout(exchange),
      resetElements: await resetsCounters(exchange),
    };
  } finally {
    await tried(exchange, (writer) => {
      writeScratchTableDelete(writer, 2, SET.table);
      writer.addFlags(LAST_OF_ONE, FLAG.ACK);
    });
  }
}

/** Where the only message of a batch starts: behind BATCH_BEGIN. */
const LAST_OF_ONE = 20;

async function updatesTimeout(exchange: Exchange): Promise<boolean> {
  const accepted = await accepts(exchange, NFT.NEWSETELEM, { key: PRESENT, timeoutMs: 120_000 });
  return accepted && (await element(exchange, NFT.GETSETELEM))?.timeoutMs === 120_000;
}

async function resetsCounters(exchange: Exchange): Promise<boolean> {
  try {
    await element(exchange, NFT.GETSETELEM_RESET);
  } catch {
    return false;
  }
  return (await element(exchange, NFT.GETSETELEM))?.counter?.packets === 0n;
}

async function element(exchange: Exchange, type: number): Promise<WireElement | undefined> {
  const writer = new MessageWriter(256);
  writeElements(writer, type, 0, 1, SET, [{ key: PRESENT }]);
  const [answer] = await exchange.request(writer.finish());
  return answer && readElements(answer.body).elements[0];
}

async function accepts(exchange: Exchange, type: number, of: WireElement): Promise<boolean> {
  return tried(exchange, (writer) => {
    writeElements(writer, type, FLAG.ACK | (type === NFT.NEWSETELEM ? FLAG.CREATE : 0), 2, SET, [of]);
  });
}

async function tried(exchange: Exchange, write: (writer: MessageWriter) => void): Promise<boolean> {
  const writer = new MessageWriter(512);
  writeBatchBegin(writer, 1);
  write(writer);
  writeBatchEnd(writer, 9);
  const { refused } = await exchange.transact(writer.finish());
  return refused.length === 0;
}

/** Two connections, one of which is deleted by its source: a kernel that ignores the filter deletes none or both. */
async function deletesStatesByFilter(exchange: Exchange): Promise<boolean> {
  const [wanted, other, server] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map(parseAddress);
  if (wanted === undefined || other === undefined || server === undefined) return false;
  const rest = { destination: server, sourcePort: 1000, destinationPort: 53, timeoutSeconds: 60 };
  try {
    for (const source of [wanted, other]) {
      const writer = new MessageWriter(256);
      writeNewState(writer, 1, { ...rest, source });
      await exchange.request(writer.finish());
    }
    const writer = new MessageWriter(128);
    writeDeleteBySource(writer, 1, wanted, 'original');
    await exchange.request(writer.finish());
    return (await countStates(exchange)) === 1;
  } catch {
    return false;
  }
}

async function countStates(exchange: Exchange): Promise<number> {
  const writer = new MessageWriter(64);
  writeStatesRequest(writer, 1, 4);
  let states = 0;
  await exchange.dump(writer.finish(), { maxDatagrams: 16, timeoutMs: 1000 }, (messages) => {
    for (const { type, body } of messages) if (readState(type, body) !== undefined) states++;
    return true;
  });
  return states;
}
