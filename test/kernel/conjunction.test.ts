/** A rule of two matches takes a packet when both take it, and only then, asked of the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Plan } from '../../src/compiler/plan.js';
import { parsePrefix, prefixRange } from '../../src/net/prefix.js';
import { elementOf, setPath } from '../../src/oracle/plan-contents.js';
import { encodePacket, FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { judge } from '../compiler/combinations.js';
import { matchHost } from './match-host.js';
import { ping, tcp, udp } from './scratch-world.js';

/** Matches of which each says of a packet what it says, whatever came before. */
const matches: readonly string[] = [
  ...['in: wan', 'in: not wan', 'from: 203.0.113.0/24', 'from: [not 203.0.113.0/24, not 2001:db8:9::/48]'],
  ...['to: [192.0.2.1, 2001:db8::1]', 'to: not 192.0.2.1', 'family: ipv4', 'family: ipv6', 'proto: [tcp, udp]'],
  ...['proto: not icmp', 'tcp: [22, 80-90]', 'tcp: not 22', 'udp: 67', 'udp: not 67', 'port: [22, 67]', 'port: not 22'],
  ...[
    'icmp: echo-request',
    'flags: S/SA',
    'flags: [F, P]',
    'state: new',
    'state: not new',
    'condition: day',
    'condition: not day',
  ],
  ...['condition: night', 'condition: not night', 'dhcpmac: 00:50:56:00:00:00/24', 'dhcpmac: not 00:50:56:00:00:00/20'],
  ...['geoip: { from: XA }', 'geoip: { from: not XA, to: XB }', 'gradm: { state: disabled, constant: true }'],
  ...[
    'gradm: { state: enabled, constant: true }',
    'iface: { iface: wan, flags: up }',
    'iface: { dev_in: true, flags: [up, not loopback] }',
  ],
  ...['ipp2p: [bit, apple]', 'ipv4options: { flags: [record-route, not ssrr] }', 'ipv4options: { any: true }'],
  ...[
    'ipv4options: { flags: [not lsrr, timestamp], any: true }',
    'length: 0-100',
    'length: not 0-100',
    'length: layer5 0-20',
  ],
  ...['length: not layer7 0-20', 'lscan: [stealth]', 'lscan: not stealth'],
];
/** What a match needs beside it. */
const needed: Readonly<Record<string, string>> = { dhcpmac: 'udp: any' };

const head = 'conditions: { day: on, night: off }\n';
const countries = new Map([
  ['XA', ['203.0.113.0/25', '2001:db8:9::/48']],
  ['XB', ['192.0.2.0/24', '198.51.100.7/32', '2001:db8::/64']],
]);

/** The sets of countries, as the daemon would fill them. */
function filled({ manifest }: Plan) {
  return new Map(
    manifest.sets.flatMap((set) => {
      const { role } = set;
      if (role.kind !== 'countries') return [];
      const ranges = role.countries.flatMap((code) =>
        countries.get(code)!.map((text) => prefixRange(parsePrefix(text))),
      );
      return [[setPath(manifest, set), ranges.filter(({ family }) => family === role.family).map(elementOf)] as const];
    }),
  );
}

const { ACK, FIN, PSH, SYN } = FLAG_BIT;
const dhcp = (mac: readonly number[]): Buffer => Buffer.concat([Buffer.alloc(28), Buffer.from(mac), Buffer.alloc(90)]);
const payloads = [Buffer.from('x'), Buffer.from('ajprot\r\n'), Buffer.alloc(200, 1)];
const optionAreas = ['0704040083030400', '89030400'].map((hex) => Buffer.from(hex, 'hex'));

/** From and to, by the family: near and far, forwarded and to the host itself. */
const ends: readonly (readonly [device: string, source: string, destination: string])[] = [
  ...([
    ['wan', '203.0.113.5', '192.0.2.1'],
    ['wan', '203.0.113.200', '198.51.100.7'],
  ] as const),
  ...([
    ['lan', '198.51.100.9', '192.0.2.1'],
    ['lan', '198.51.100.9', '203.0.113.5'],
  ] as const),
  ...([
    ['wan', '2001:db8:9::5', '2001:db8::1'],
    ['wan', '2001:db8:a::5', '2001:db8:1::7'],
  ] as const),
  ...([
    ['lan', '2001:db8:1::9', '2001:db8::1'],
    ['lan', '2001:db8:1::9', '2001:db8:9::5'],
  ] as const),
];

interface Sent {
  readonly device: string;
  readonly packet: Buffer;
}

const all: readonly Sent[] = ends.flatMap(([device, source, destination]) => {
  const plain: Packet[] = [
    ...[22, 85, 4000].map((port) => tcp(source, destination, port)),
    ...[ACK | PSH, FIN | ACK, 0].map((flags) => tcp(source, destination, 22, flags)),
    ...payloads.map((payload) => ({ ...tcp(source, destination, 85, ACK | PSH), payload })),
    ...payloads.map((payload) => udp(source, destination, 53, payload)),
    ...[
      [0, 0x50, 0x56, 1, 2, 3],
      [0, 0x50, 0x5f, 1, 2, 3],
      [2, 0, 0, 0, 0, 1],
    ].map((mac) => udp(source, destination, 67, dhcp(mac))),
    ping(source, destination),
    { ...ping(source, destination), payload: Buffer.alloc(300) },
    { ...tcp(source, destination, 22, SYN), payload: Buffer.alloc(60) },
  ];
  const isV4 = plain[0]!.source.family === 4;
  const dressed = isV4
    ? plain.flatMap((packet, index) => [packet, { ...packet, options: optionAreas[index % optionAreas.length]! }])
    : plain;
  return dressed.map((packet) => ({ device, packet: encodePacket(packet) }));
});

const host = await matchHost({ after });
const chains = ['input', 'forward'] as const;

/** Those of the rules that may stand in the chain. */
function possible(chain: string, rules: readonly (readonly string[])[]): (readonly string[])[] {
  const text = (rule: readonly string[]): string => `${asRule(rule)}, do: count`;
  const taken = new Set(judge(chain, rules.map(text)).flatMap((part) => part.taken));
  return rules.filter((rule) => taken.has(text(rule)));
}

for (const chain of chains) {
  test(`${chain}: a rule of two matches takes what both take`, async (t) => {
    const alone = possible(
      chain,
      matches.map((match) => [match]),
    );
    const names = alone.flat();
    const both = names.flatMap((one, index) =>
      names.slice(index + 1).flatMap((other) => (wordOf(one) === wordOf(other) ? [] : [[one, other]])),
    );
    const pairs = possible(chain, both);
    await host.rules(chain, [...alone, ...pairs].map(asRule), { head, contents: filled });
    const cases = pairs.map(() => new Set<string>());
    for (const { device, packet } of all) {
      const hits = await host.hits(packet, device);
      for (const [index, pair] of pairs.entries()) {
        const each = pair.map((match) => hits[names.indexOf(match)]!);
        const expected = each.every((hit) => hit === 1) ? 1 : 0;
        assert.equal(hits[alone.length + index], expected, `${asRule(pair)}: ${packet.toString('hex')}`);
        cases[index]!.add(each.join(''));
      }
    }
    const seen = (count: number): number => cases.filter(({ size }) => size >= count).length;
    t.diagnostic(`${pairs.length} pairs, ${all.length} packets; all four cases: ${seen(4)}, three: ${seen(3)}`);
    assert.ok(seen(3) > pairs.length / 2);
  });

  test(`${chain}: what counts packets counts those that the rest of its rule takes`, async () => {
    const rules = possible(
      chain,
      matches.map((match) => [match]),
    );
    const quotas = rules.flatMap((_, index) => [`q${index}: { packets: 2 }`, `n${index}: { packets: 2 }`]);
    const counting = rules.flatMap((rule, index) => [
      asRule(rule),
      `${asRule(rule)}, limit: 2/1d`,
      `${asRule(rule)}, quota: q${index}`,
      `quota: not n${index}, ${asRule(rule)}`,
    ]);
    await host.rules(chain, counting, { head: `${head}quotas: { ${quotas.join(', ')} }\n`, contents: filled });
    const taken = rules.map(() => 0);
    for (const { device, packet } of all) {
      const hits = await host.hits(packet, device);
      for (const [index, rule] of rules.entries()) {
        const [own, limited, fits, fitsNot] = hits.slice(index * 4);
        taken[index]! += own!;
        const first = own === 1 && taken[index]! <= 2 ? 1 : 0;
        assert.deepEqual([limited, fits, fitsNot], [first, first, own! - first], `${asRule(rule)}`);
      }
    }
    assert.ok(taken.filter((count) => count > 2).length > rules.length / 2);
  });
}

const wordOf = (match: string): string => match.slice(0, match.indexOf(':'));

/** The matches as keys of one rule, with what they need. */
function asRule(rule: readonly string[]): string {
  const words = rule.map(wordOf);
  const more = words.flatMap((word) => (needed[word] !== undefined && !words.includes('udp') ? [needed[word]] : []));
  return [...rule, ...more].join(', ');
}
