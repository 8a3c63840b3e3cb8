/** length by random packets through the real kernel, against a slow reader of their headers. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/net/address.js';
import { encodePacket } from '../../src/wire/packet.js';
import { matchHost } from './match-host.js';

const host = await matchHost({ after });

const layers = ['layer3', 'layer4', 'layer5', 'layer7'] as const;
type Layer = (typeof layers)[number];

/** Bytes of the header of what IP carries; undefined where it is none of those with data behind a header. */
function carrierHeader(family: 4 | 6, protocol: number, bytes: Uint8Array): number | undefined {
  if (protocol === 6) return (bytes[12]! >> 4) * 4;
  if (protocol === 33) return bytes[4]! >= 3 && bytes[4]! <= 18 ? bytes[4]! * 4 : undefined;
  if (protocol === 17 || protocol === 136 || protocol === 50) return 8;
  if (protocol === 132 || protocol === 51) return 12;
  if (family === 4) return protocol === 1 ? 8 : undefined;
  return protocol === 58 ? 4 : undefined;
}

/** Read from the bytes; less than nothing where a header says that it is longer than the packet. */
function lengthAt(layer: Layer, packet: Uint8Array): number | undefined {
  const family = packet[0]! >> 4 === 4 ? 4 : 6;
  const [header, protocol] = family === 4 ? [(packet[0]! & 15) * 4, packet[9]!] : [40, packet[6]!];
  if (layer === 'layer3') return packet.length;
  const carried = packet.subarray(header);
  if (layer === 'layer4') return carried.length;
  if (layer === 'layer7' && protocol === 132) return undefined;
  const own = carrierHeader(family, protocol, carried);
  return own === undefined ? undefined : carried.length - own;
}

const ends = {
  4: { source: parseAddress('203.0.113.5'), destination: parseAddress('192.0.2.1') },
  6: { source: parseAddress('2001:db8:7::5'), destination: parseAddress('2001:db8::1') },
} as const;

/** What has a length of its own in the header stands there as `words`; the rest is as long as its protocol says. */
const carried = fc
  .record({
    protocol: fc.constantFrom(6, 6, 6, 17, 1, 58, 33, 50, 51, 132, 136, 4, 47),
    words: fc.nat(20),
    data: fc.integer({ min: 0, max: 120 }),
  })
  .map(({ protocol, words, data }) => {
    const bytes = Buffer.alloc(20 + data, 1);
    if (protocol === 6) bytes[12] = (words % 16) << 4;
    if (protocol === 33) bytes[4] = words;
    if (protocol === 17 || protocol === 136) bytes.writeUInt16BE(bytes.length, 4);
    return { protocol, bytes };
  });

const ipv4 = fc
  .tuple(carried, fc.nat(10))
  .map(([{ protocol, bytes }, words]) =>
    encodePacket({ ...ends[4], protocol, payload: bytes, ...(words > 0 && { options: Buffer.alloc(words * 4, 1) }) }),
  );

/** Hop-by-hop and destination options, one that is skipped where it is unknown, and the header of a fragment that is the whole. */
const extension = fc
  .record({ kind: fc.constantFrom(0, 60, 44), words: fc.nat(3) })
  .map(({ kind, words }) => ({ kind, bytes: Buffer.alloc(kind === 44 ? 8 : 8 + words * 8) }))
  .map(({ kind, bytes }) => {
    if (kind === 44) return { kind, bytes };
    bytes[1] = bytes.length / 8 - 1;
    bytes[2] = 0x1e;
    bytes[3] = bytes.length - 4;
    return { kind, bytes };
  });

const ipv6 = fc
  .tuple(carried, fc.oneof(fc.constant([]), fc.uniqueArray(extension, { maxLength: 2, selector: ({ kind }) => kind })))
  .map(([{ protocol, bytes }, extensions]) => {
    // Hop-by-hop options are first or nowhere (RFC 8200 section 4.1).
    const ordered = [...extensions].sort((a, b) => Number(a.kind !== 0) - Number(b.kind !== 0));
    const kinds = [...ordered.map(({ kind }) => kind), protocol];
    const headers = ordered.map((one, index) => Buffer.concat([Buffer.of(kinds[index + 1]!), one.bytes.subarray(1)]));
    return encodePacket({ ...ends[6], protocol: kinds[0]!, payload: Buffer.concat([...headers, bytes]) });
  });

const ranges = fc.tuple(fc.nat(220), fc.nat(60)).map(([least, more]) => ({ least, most: least + more }));

const rulesOfLayer = 8;
const packetsOfLayer = 200;

for (const layer of layers) {
  test(`${layer}: random packets are as long as their headers leave`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const wanted = fc.sample(ranges, { seed, numRuns: rulesOfLayer });
    const texts = wanted.map(({ least, most }) => (least === most ? `${least}` : `${least}-${most}`));
    await host.rules('prerouting', [
      ...texts.map((text) => `length: ${layer} ${text}`),
      ...texts.map((text) => `length: not ${layer} ${text}`),
    ]);
    let taken = 0;
    for (const packet of fc.sample(fc.oneof(ipv4, ipv6), { seed, numRuns: packetsOfLayer })) {
      const bytes = lengthAt(layer, packet);
      const within = wanted.map(({ least, most }) => bytes !== undefined && bytes >= least && bytes <= most);
      const without = within.map((is) => bytes !== undefined && !is);
      const label = `seed ${seed}, ${bytes} bytes of ${texts.join(' ')}: ${Buffer.from(packet).toString('hex')}`;
      assert.deepEqual(await host.hits(packet), [...within, ...without].map(Number), label);
      taken += within.filter(Boolean).length;
    }
    assert.ok(taken > 0, `seed ${seed}: no packet had any of the lengths ${texts.join(' ')}`);
  });
}
