/**
 * Sends forged datagrams from many sources, as fast as asked for: `flood.js TARGET PORT SOURCES PER_SECOND SECONDS`, in the
 * namespace that it is started in. Prints how many left.
 */

import { randomBytes } from 'node:crypto';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { parseAddress } from '../../src/net/address.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';

const [target = '', port = '', sources = '', perSecond = '', seconds = ''] = process.argv.slice(2);
/** The range that is kept for benchmarks (RFC 2544). */
const firstSource = parseAddress('198.18.0.0').value;

const sender = new RawSender();
const packets = Array.from({ length: Number(sources) }, (_, index) =>
  encodePacket({
    source: { family: 4, value: firstSource + BigInt(index + 1) },
    destination: parseAddress(target),
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 40_000 + (index % 20_000), destinationPort: Number(port) },
    payload: Buffer.from(`${randomBytes(32).toString('hex')}\n`),
  }),
);

const startedAt = performance.now();
const endsAt = startedAt + Number(seconds) * 1000;
let queued = 0;
for (let now = startedAt; now < endsAt; now = performance.now()) {
  const due = Math.min(((now - startedAt) / 1000) * Number(perSecond), queued + 2_000);
  for (; queued < due; queued++) {
    const packet = packets[queued % packets.length]!;
    packet.copy(sender.slot(4, packet.length));
  }
  sender.flush();
  await new Promise(setImmediate);
}
process.stdout.write(`${sender.counts.sent}\n`);
sender.close();
