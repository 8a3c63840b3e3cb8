/**
 * The generation: a number that grows with every committed nf_tables transaction of a network namespace.
 * Source: linux/netfilter/nf_tables.h; integers are big-endian.
 *
 * | Attribute | Content |
 * |---|---|
 * | 1 ID | u32 |
 * | 2 PROC_PID | u32: who committed (events only) |
 * | 3 PROC_NAME | text: its command name (events only) |
 */

import { attributeMap, FLAG, type MessageWriter, malformed, readText, readU32be } from './netlink.js';
import { NFPROTO, readNfgenmsg, writeNfgenmsg } from './nfnetlink.js';
import { NFT } from './nftables.js';

const GENERATION = { ID: 1, PROCESS_ID: 2, PROCESS_NAME: 3 } as const;

export interface Generation {
  readonly id: number;
  readonly processId?: number;
  readonly processName?: string;
}

/** Asks for the current generation. */
export function writeGenerationRequest(writer: MessageWriter, seq: number): void {
  writer.begin(NFT.GETGEN, FLAG.REQUEST, seq);
  writeNfgenmsg(writer, NFPROTO.unspec);
  writer.end();
}

/**
 * Reads the body of a NEWGEN message, an answer or an event.
 * @throws PosternError `kernel` when it is malformed.
 */
export function readGeneration(body: Buffer): Generation {
  const found = attributeMap(body, readNfgenmsg(body).attributesAt);
  const id = found.get(GENERATION.ID);
  const processId = found.get(GENERATION.PROCESS_ID);
  const processName = found.get(GENERATION.PROCESS_NAME);
  if (id === undefined) throw malformed('generation without a number', 0);
  return {
    id: readU32be(id),
    ...(processId === undefined ? {} : { processId: readU32be(processId) }),
    ...(processName === undefined ? {} : { processName: readText(processName) }),
  };
}
