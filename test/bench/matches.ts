/**
 * What matches cost a packet: rules that ask for them against a chain that only counts, in one run. Each stands several
 * times, so that what it costs stands out from what a packet costs anyway.
 */

import { FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { compiled, tcp, udp } from '../kernel/scratch-world.js';
import type { Bench, BenchRow } from './bench.js';
import { geoipRows } from './geoip.js';
import { ifaceRow } from './iface.js';
import { scorerRow } from './psd.js';
import { onRoad, packetUs, type Road, roadEnds } from './road.js';

/** What is measured. A new match is one entry. */
interface MatchCost {
  readonly work: string;
  /** Keys of a rule. */
  readonly match: string;
  readonly packet: Packet;
  /** Rules in front of the measured ones, and of the counter that they are held against. */
  readonly before?: readonly string[];
  /** Where the rules stand; prerouting if not given. */
  readonly chain?: 'prerouting' | 'input';
  /** Sections of the policy. */
  readonly head?: string;
  /** Most microseconds that it may cost. */
  readonly mostUs?: number;
}

const { client, firewall } = roadEnds;
const datagram = udp(client, firewall, 9, Buffer.alloc(64, 0x78));
const segment = { ...tcp(client, firewall, 9, FLAG_BIT.ACK, 40_001), payload: Buffer.alloc(64, 0x78) };
const withOptions = (hex: string): Packet => ({ ...datagram, options: Buffer.from(hex, 'hex') });
/** Connections are tracked on both sides of the comparison. */
const tracked = ['{ state: new, do: count }'];

const costs: readonly MatchCost[] = [
  {
    work: 'ipv4options, a header without options',
    match: 'ipv4options: { flags: [record-route, router-alert], any: true }',
    packet: datagram,
    mostUs: 0.5,
  },
  {
    work: 'ipv4options, router-alert',
    match: 'ipv4options: { flags: [record-route, router-alert], any: true }',
    packet: withOptions('94040000'),
  },
  {
    work: 'ipv4options, forty nops',
    match: 'ipv4options: { flags: [record-route, router-alert], any: true }',
    packet: withOptions('01'.repeat(40)),
  },
  { work: 'length, layer 3', match: 'length: 100-200', packet: datagram },
  { work: 'length, layer 5 of TCP', match: 'length: layer5 100-200', packet: segment },
  { work: 'iface, dev_in', match: 'iface: { dev_in: true, flags: [up, running] }', packet: datagram },
  { work: 'iface, a device by name', match: 'iface: { iface: wan, flags: promisc }', packet: datagram },
  {
    work: 'ipp2p, every protocol, of a connection that is none',
    match: 'ipp2p: [edk, dc, gnu, kazaa, bit, apple, soul, winmx, ares, mute, waste, xdcc]',
    packet: datagram,
    before: tracked,
  },
  { work: 'condition', head: 'conditions: { c: on }\n', match: 'condition: c', packet: datagram },
  { work: 'quota of bytes', head: 'quotas: { q: { bytes: 1PB } }\n', match: 'quota: q', packet: datagram },
  { work: 'quota of packets', head: 'quotas: { q: { packets: 5000000 } }\n', match: 'quota: q', packet: datagram },
  {
    work: 'quota that is looked at',
    head: 'quotas: { q: { bytes: 1PB } }\n',
    match: 'quota: { name: q, no_change: true }',
    packet: datagram,
  },
  { work: 'psd, established traffic', match: 'psd: {}', packet: segment, mostUs: 0.1 },
  { work: 'psd, a port that is known', match: 'psd: {}', packet: tcp(client, firewall, 9, FLAG_BIT.SYN, 40_001) },
  { work: 'lscan', match: 'tcp: any, lscan: [synscan, cnscan]', packet: segment, before: tracked, chain: 'input' },
  { work: 'fuzzy, above the upper limit', match: 'fuzzy: {}', packet: datagram },
];

const rounds = 5;
/** How often a match stands in the chain. */
const repeated = 8;

function policyOf(
  { head = '', before = [], chain = 'prerouting', match }: Omit<MatchCost, 'work' | 'packet'>,
  times: number,
): string {
  const rules = [
    ...before,
    ...Array.from({ length: times }, (_, index) => `{ name: m${index}, ${match}, do: count }`),
    '{ do: drop }',
  ];
  return `version: 1\nhygiene: off\n${head}chains:\n  ${chain}:\n    rules:\n${rules.map((rule) => `      - ${rule}`).join('\n')}\n`;
}

/** What `repeated` rules cost a packet more than none, for one of them. By turns, so that the machine's moods meet both. */
async function costUs(road: Road, cost: MatchCost): Promise<number> {
  const plans = [0, repeated].map((times) => compiled(policyOf(cost, times)));
  const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let previous: (typeof plans)[number] | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const [index, plan] of plans.entries()) {
      await road.kernel.load(plan, previous?.manifest);
      previous = plan;
      best[index] = Math.min(best[index]!, packetUs(road, cost.packet));
    }
  }
  return (best[1]! - best[0]!) / repeated;
}

async function costRow(cost: MatchCost): Promise<BenchRow> {
  const us = await onRoad((road) => costUs(road, cost));
  return {
    work: cost.work,
    ours: `${us.toFixed(2)} µs a packet`,
    ...(cost.mostUs !== undefined && { must: `≤ ${cost.mostUs} µs`, met: us <= cost.mostUs }),
  };
}

export const matchesBench: Bench = {
  name: 'matches',
  title: 'Matches: what a rule with each costs a packet, beside a chain that only counts',
  async *run() {
    for (const cost of costs) yield await costRow(cost);
    yield await ifaceRow();
    yield* geoipRows();
    yield scorerRow();
  },
};
