/** What the scorer of port scans takes, from the bytes of a copy to its verdict. */

import { readProbe } from '../../src/services/psd/probe.js';
import { PsdScorer } from '../../src/services/psd/scorer.js';
import { encodePacket } from '../../src/wire/packet.js';
import { tcp } from '../kernel/scratch-world.js';
import { type BenchRow, timed } from './bench.js';

const pairs = 300_000;
const sources = 100_000;
const hosts = 65_536;
const leastPerSecond = 300_000;

/** New pairs of more sources than there is room for. */
export async function scorerRow(): Promise<BenchRow> {
  const scorer = new PsdScorer({ weightThreshold: 21, delayMs: 3_000, loPortsWeight: 3, hiPortsWeight: 1 }, { hosts });
  const packet = encodePacket(tcp('198.18.0.0', '192.0.2.1', 1));
  const ms = await timed(() => {
    for (let pair = 0; pair < pairs; pair++) {
      packet.writeUInt32BE(0xc612_0000 + (pair % sources), 12);
      packet.writeUInt16BE(1 + (pair % 60_000), 22);
      const probe = readProbe(packet);
      if (probe !== undefined) scorer.isScan(probe, pair / 1_000);
    }
  });
  const perSecond = (pairs / ms) * 1000;
  return {
    work: `psd: exact, ${sources / 1000}k sources for ${hosts} places`,
    ours: `${Math.round(perSecond / 1000)} k pairs/s, ${scorer.evicted} evicted`,
    must: '≥ 300 k/s',
    met: perSecond >= leastPerSecond && scorer.evicted > 0,
  };
}
