/** length by packets through the real kernel: all layers, protocols and header lengths. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { encodePacket, FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { matchHost } from './match-host.js';

const host = await matchHost({ after });

const ends = {
  4: { source: parseAddress('203.0.113.5'), destination: parseAddress('192.0.2.1') },
  6: { source: parseAddress('2001:db8:7::5'), destination: parseAddress('2001:db8::1') },
} as const;
type Family = 4 | 6;

interface Made {
  readonly name: string;
  readonly packet: Packet;
  /** Bytes at layers 3, 4 and 5; undefined where there is none. */
  readonly at: readonly (number | undefined)[];
}

const ports = { sourcePort: 4000, destinationPort: 999 };
/** Protocols without a header of ours in the codec: number and bytes of their headers. */
const plainHeaders = { esp: [50, 8], ah: [51, 12], sctp: [132, 12], udplite: [136, 8] } as const;

function made(family: Family, name: string, data: number, ipOptions = 0, tcpOptions = 0): Made {
  const payload = new Uint8Array(data);
  const base = { ...ends[family], ...(ipOptions > 0 && { options: new Uint8Array(ipOptions).fill(1) }) };
  const whole = (packet: Packet, header: number | undefined): Made => {
    const bytes = encodePacket(packet).length;
    const layer4 = bytes - (family === 4 ? 20 + ipOptions : 40);
    const layer5 = header === undefined ? undefined : layer4 - header;
    return {
      name: `${name} of IPv${family}, ${data} bytes, options ${ipOptions} ${tcpOptions}`,
      packet,
      at: [bytes, layer4, layer5],
    };
  };
  if (name === 'tcp') {
    const tcp = { ...ports, flags: FLAG_BIT.ACK, options: new Uint8Array(tcpOptions).fill(1) };
    return whole({ ...base, protocol: 6, tcp, payload }, 20 + tcpOptions);
  }
  if (name === 'udp') return whole({ ...base, protocol: 17, udp: ports, payload }, 8);
  if (name === 'icmp') {
    const icmp = { type: family === 4 ? 8 : 128, code: 0, rest: new Uint8Array(4) };
    return whole({ ...base, protocol: family === 4 ? 1 : 58, icmp, payload }, family === 4 ? 8 : 4);
  }
  if (name === 'dccp') {
    const header = Buffer.alloc(16);
    header[4] = 4;
    return whole({ ...base, protocol: 33, payload: Buffer.concat([header, payload]) }, 16);
  }
  if (name === 'ipip') return whole({ ...base, protocol: 4, payload }, undefined);
  const [protocol, header] = plainHeaders[name as keyof typeof plainHeaders];
  return whole({ ...base, protocol, payload: new Uint8Array(header + data) }, header);
}

const all: Made[] = ([4, 6] as const).flatMap((family) => [
  ...['tcp', 'udp', 'icmp', 'dccp', 'ipip', 'esp', 'ah', 'sctp', 'udplite'].flatMap((name) =>
    [9, 10, 20, 21].map((data) => made(family, name, data)),
  ),
  ...[4, 12, 40].flatMap((options) => [made(family, 'tcp', 10, 0, options), made(family, 'tcp', 21, 0, options)]),
  ...(family === 4
    ? [4, 8, 40].flatMap((options) => [
        made(4, 'tcp', 10, options, 12),
        made(4, 'tcp', 9, options, 40),
        made(4, 'udp', 20, options),
        made(4, 'icmp', 21, options),
      ])
    : []),
]);

const layers = ['layer3', 'layer4', 'layer5', 'layer7'] as const;

test('every layer of every protocol has the length that its headers leave', async () => {
  for (const layer of layers) {
    const index = { layer3: 0, layer4: 1, layer5: 2, layer7: 2 }[layer];
    await host.rules('prerouting', [
      `length: ${layer} 10-20`,
      `length: not ${layer} 10-20`,
      `length: ${layer} 50-64`,
      `length: not ${layer} 50-64`,
      `tcp: any, length: ${layer} 10`,
      `length: not ${layer} 70000-80000`,
    ]);
    for (const { name, packet, at } of all) {
      const bytes = layer === 'layer7' && packet.protocol === 132 ? undefined : at[index];
      const known = bytes !== undefined;
      const within = (least: number, most: number): boolean => known && bytes >= least && bytes <= most;
      const wanted = [
        within(10, 20),
        known && !within(10, 20),
        within(50, 64),
        known && !within(50, 64),
        packet.protocol === 6 && within(10, 10),
        known,
      ];
      assert.deepEqual(await host.hits(packet), wanted.map(Number), `${layer}: ${name}, ${bytes} bytes`);
    }
  }
});

test('the first fragment is as long as it is', async () => {
  await host.rules('prerouting', ['length: layer3 64', 'length: layer5 24', 'length: not layer5 24']);
  const { packet } = made(4, 'tcp', 24);
  assert.deepEqual(await host.hits({ ...packet, fragment: { id: 7, offset: 0, more: true } }), [1, 1, 0]);
});

test('a length that no packet has is an error where it stands', async () => {
  const refused = (match: string): Promise<unknown> => host.rules('prerouting', [match]);
  await assert.rejects(refused('length: layer3 70000-80000'), /no packet of this rule has such a length/);
  await assert.rejects(refused('length: 200-100'), /"200-100" ends before it begins/);
  await assert.rejects(refused('length: layer6 100'), /"100" has no place here/);
  await assert.rejects(refused('proto: gre, length: layer5 10'), /no packet of this rule/);
});
