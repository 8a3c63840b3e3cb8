/** An ingress chain decides in `netdev` as it does in `inet`: random chains and packets through both. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../../src/net/address.js';
import { renderRuleset } from '../../../src/nft/render.js';
import { encodePacket, type Packet, PROTOCOL } from '../../../src/wire/packet.js';
import { goldenHost } from '../../vectors/golden-host.js';
import { link, namespace } from '../namespace.js';
import { compiled } from '../scratch-world.js';

const chains = 60;
const packetsOfOne = 150;

/** Packets that go on are seen to leave by `lan`; traps answer by `wan`; the others are dropped. */
const rule = fc.constantFrom(
  '{ tcp: 23, do: drop }',
  '{ tcp: [22, 1000-1010], from: not 203.0.113.5, do: drop }',
  '{ tcp: any, flags: S/SA, to: 198.51.100.7, do: { tarpit: { limit: off } } }',
  '{ tcp: 22, family: ipv6, do: { delude: { limit: off } } }',
  '{ tcp: 1005, do: { tarpit: { mode: honeypot, limit: off } } }',
  '{ udp: [7, 53], do: { echo: { limit: off } } }',
  '{ udp: any, do: { echo: { limit: off } } }',
  '{ udp: 7, sport: 5000-5001, do: accept }',
  '{ port: [53, 1000], from: [203.0.113.0/30, 2001:db8:9::/48], do: drop }',
  '{ proto: [not tcp, not udp], do: drop }',
  '{ proto: 47, do: drop }',
  '{ icmp: echo-request, do: drop }',
  '{ fragment: true, do: drop }',
  '{ short: true, do: drop }',
  '{ in: wan, tcp: any, flags: FPU/FPU, do: accept }',
  '{ from: 2001:db8:9::9, do: accept }',
  '{ family: ipv4, do: count }',
  '{ to: 198.51.100.9, do: { chaos: { reject_percentage: 0%, limit: off } } }',
);
const chain = fc.record({
  policy: fc.constantFrom('accept', 'accept', 'drop'),
  rules: fc.array(rule, { minLength: 1, maxLength: 6 }),
});

const ends = {
  4: [
    ['203.0.113.2', '203.0.113.5'],
    ['198.51.100.7', '198.51.100.9'],
  ],
  6: [
    ['2001:db8:9::9', '2001:db8:7::2'],
    ['2001:db8:1::7', '2001:db8:1::9'],
  ],
} as const;

/** Whole packets, first and later fragments, packets behind extension headers, and packets that end too early. */
const packet = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc
    .record({
      source: fc.constantFrom(...ends[family][0]).map(parseAddress),
      destination: fc.constantFrom(...ends[family][1]).map(parseAddress),
      protocol: fc.constantFrom('tcp', 'udp', 'icmp', 'gre'),
      sourcePort: fc.constantFrom(5000, 5002, 7),
      destinationPort: fc.constantFrom(7, 22, 23, 53, 80, 1000, 1005, 1011),
      flags: fc.constantFrom(2, 18, 16, 4, 41, 0),
      form: fc.constantFrom('whole', 'whole', 'whole', 'first', 'later', 'extended', 'cut'),
      bytes: fc.integer({ min: 0, max: 40 }),
    })
    .map(({ source, destination, protocol, sourcePort, destinationPort, flags, form, bytes }) => {
      const head = { source, destination, payload: Buffer.alloc(bytes, 0x41) };
      const all: Readonly<Record<string, Packet>> = {
        tcp: { ...head, protocol: PROTOCOL.TCP, tcp: { sourcePort, destinationPort, flags, sequence: bytes } },
        udp: { ...head, protocol: PROTOCOL.UDP, udp: { sourcePort, destinationPort } },
        icmp: {
          ...head,
          protocol: family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6,
          icmp: { type: family === 4 ? 8 : 128, code: 0 },
        },
        gre: { ...head, protocol: 47 },
      };
      return inForm(encodePacket(all[protocol]!), form);
    }),
);

function inForm(whole: Buffer, form: string): Buffer {
  const isV4 = whole[0]! >> 4 === 4;
  switch (form) {
    case 'cut':
      return whole.subarray(0, (isV4 ? 20 : 40) + 3);
    case 'first':
      return isV4 ? fragment4(whole, 0x2000) : behind(whole, 44, Buffer.from([0, 0, 0, 1, 0, 0, 0, 9]));
    case 'later':
      return isV4 ? fragment4(whole, 0x0005) : behind(whole, 44, Buffer.from([0, 0, 0, 40, 0, 0, 0, 9]));
    case 'extended':
      return isV4 ? whole : behind(whole, 60, Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]));
    default:
      return whole;
  }
}

function fragment4(whole: Buffer, word: number): Buffer {
  const packet = Buffer.from(whole);
  const before = packet.readUInt16BE(6);
  packet.writeUInt16BE(word, 6);
  // RFC 1624: the checksum of the header after a change of one word.
  let sum = (~packet.readUInt16BE(10) & 0xffff) + (~before & 0xffff) + word;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 10);
  return packet;
}

/** The packet with an extension header of 8 bytes in front of what it carries. */
function behind(whole: Buffer, protocol: number, header: Buffer): Buffer {
  const [front, rest] = [Buffer.from(whole.subarray(0, 40)), whole.subarray(40)];
  header[0] = front[6]!;
  front[6] = protocol;
  front.writeUInt16BE(rest.length + header.length, 4);
  return Buffer.concat([front, header, rest]);
}

interface Chain {
  readonly policy: string;
  readonly rules: readonly string[];
}

/** A table that nothing is in keeps the chain in `inet`. */
const inInet = '{ from: <nobody>, do: drop }';
const text = ({ policy, rules }: Chain, more: readonly string[]) => `version: 1
tables: { nobody: {} }
chains:
  ingress:
    on: wan
    policy: ${policy}
    rules:
${[...rules, ...more].map((one) => `      - ${one}\n`).join('')}`;

test(`ingress chains decide in netdev as in inet: ${chains} chains, ${packetsOfOne} packets each`, async () => {
  const [netdev, inet] = [await goldenHost({ after }), await goldenHost({ after })];
  const seed = Math.floor(Math.random() * 2 ** 31);
  const seen = { forwarded: 0, answered: 0, gone: 0 };
  for (const [number, made] of fc.sample(chain, { seed, numRuns: chains }).entries()) {
    for (const [host, family, more] of [
      [netdev, 'netdev', []],
      [inet, 'inet', [inInet]],
    ] as const) {
      const { manifest } = await host.policy(text(made, more));
      assert.equal(manifest.chains.find(({ name }) => name === 'ingress')?.table, family);
    }
    const injections = fc
      .sample(packet, { seed: seed + number, numRuns: packetsOfOne })
      .map((bytes) => ({ packet: bytes, at: { device: 'wan' } }));
    const [ours, reference] = [await netdev.scratch.inject(injections), await inet.scratch.inject(injections)];
    for (const [index, { frames, copies }] of ours.entries()) {
      const bytes = Buffer.from(injections[index]!.packet).toString('hex');
      const label = `seed ${seed}, chain ${number} ${made.policy} ${made.rules.join(' ')}, packet ${bytes}`;
      assert.deepEqual(frames, reference[index]!.frames, label);
      assert.equal(copies.length > 0, reference[index]!.copies.length > 0, label);
      const [first] = frames;
      seen[first === undefined ? 'gone' : first.device === 'lan' ? 'forwarded' : 'answered'] += 1;
    }
  }
  for (const [fate, packets] of Object.entries(seen)) assert.ok(packets > 20, `${fate}: ${packets}`);
});

test('a chain of netdev that drops what it has no rule for lets neighbours be asked for', async (t) => {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link([client, 'out', '192.0.2.2/24'], [firewall, 'wan', '192.0.2.1/24']);
  const plan = compiled(text({ policy: 'drop', rules: ['{ proto: icmp, do: accept }'] }, []));
  await firewall.nft(renderRuleset(plan.ruleset));
  for (const { run } of [client, firewall]) await run('ip', 'neigh', 'flush', 'all');
  await client.run('ping', '-c1', '-W5', '192.0.2.1');
  const refused = await client.start('timeout', ['1', 'bash', '-c', 'exec 3<>/dev/tcp/192.0.2.1/80']);
  assert.equal(refused.exitCode, 124, 'TCP is dropped');
});
