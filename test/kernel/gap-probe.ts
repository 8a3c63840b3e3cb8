/** Packets to addresses that must always be in a table: the one that gets past the rule has met a gap. */

import { setTimeout } from 'node:timers/promises';
import { RawSender, SEND_BATCH } from '../../src/kernel/raw-sender.js';
import { parseAddress } from '../../src/net/address.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';
import type { Namespace } from './namespace.js';

/** 198.19.0.0/16, of the range for benchmarks (RFC 2544). */
const FIRST = 0xc613_0000;
const ADDRESSES = 0x1_0000;
const SOURCE = '192.0.2.1';
/** A prime: what comes one after the other are no neighbours. */
const STEP = 40_503;
const DESTINATION_OFFSET = 16;

/** The networks of 198.19.0.0/16, of a length from 16 to 24. */
export function probedNetworks(length: number): string[] {
  const size = 2 ** (24 - length);
  return Array.from({ length: 256 / size }, (_, n) => `198.19.${n * size}.0/${length}`);
}

export interface GapProbe {
  tried(): number;
  /** Packets that no rule has dropped. */
  passed(): number;
  stop(): Promise<void>;
}

/** Sends packets from within the namespace to addresses all over 198.19.0.0/16, which its rules must drop in output. */
export async function probeGaps(space: Namespace): Promise<GapProbe> {
  await space.run('ip', 'link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1');
  await space.run('ip', 'link', 'set', 'probe1', 'up');
  // Not one of the probed addresses: what the host sends to itself passes by `lo`, whatever the rules say.
  await space.run('ip', 'address', 'add', `${SOURCE}/32`, 'dev', 'probe0');
  await space.run('ip', 'link', 'set', 'probe0', 'up');
  // By a neighbour of its own each address would fill the neighbour table, which all namespaces share.
  await space.run('ip', 'route', 'add', '198.19.0.0/16', 'via', '192.0.2.2', 'dev', 'probe0', 'onlink');
  const packet = encodePacket({
    source: parseAddress(SOURCE),
    destination: parseAddress('198.19.0.2'),
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 9, destinationPort: 9 },
    payload: new Uint8Array(1),
  });
  const sender = new RawSender(space.name);
  let next = 0;
  let stopped = false;
  const running = (async () => {
    for (; !stopped; await setTimeout(1)) {
      for (let left = SEND_BATCH; left > 0; left--) {
        packet.writeUInt32BE(FIRST + ((next++ * STEP) % ADDRESSES), DESTINATION_OFFSET);
        sender.queue(packet);
      }
      sender.flush();
    }
    sender.close();
  })();
  return {
    // A packet that a rule drops in output is refused to its sender (EPERM).
    tried: () => sender.counts.sent + sender.counts.failed,
    passed: () => sender.counts.sent,
    async stop() {
      stopped = true;
      await running;
    },
  };
}
