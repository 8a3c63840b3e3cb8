/** Packets that no rule dropped: the host's own routing or checks did. Its counters say which, where it counts. */

import type { RawRun } from '../kernel/scratch.js';
import type { Hook } from '../nft/model.js';
import type { Packet } from '../wire/packet.js';

export type LostReason =
  | 'rp_filter'
  | 'no_route'
  | 'martian'
  | 'forwarding_off'
  | 'ttl'
  | 'checksum'
  | 'fragment'
  | 'routing'
  | 'unknown';

export const lostText: Readonly<Record<LostReason, string>> = {
  rp_filter: 'the reverse path filter (rp_filter): a packet to its source would leave by another device',
  no_route: 'the host has no route to its destination',
  martian: 'its source address can not come in by a device (loopback, multicast)',
  forwarding_off: "it is for somebody else, and the host doesn't forward",
  ttl: 'its TTL (hop limit) is used up here',
  checksum: 'the checksum of its header is wrong',
  fragment: 'it is a fragment, and waits for the others',
  routing:
    "the host's routing discarded it (likely: its source is an address of this host, or its route is unreachable)",
  unknown: 'the host discarded it outside of the rules',
};

/** Sums of counters of both families that name one reason. */
const counters: readonly (readonly [LostReason, readonly string[]])[] = [
  ['rp_filter', ['TcpExtIPReversePathFilter']],
  ['checksum', ['IpExtInCsumErrors']],
  ['ttl', ['IcmpOutTimeExcds', 'Icmp6OutTimeExcds']],
  ['no_route', ['IpExtInNoRoutes', 'Ip6InNoRoutes', 'IpOutNoRoutes', 'Ip6OutNoRoutes']],
  ['forwarding_off', ['IpInAddrErrors', 'Ip6InAddrErrors']],
];

/** @param hook where it was last seen. */
export function hostReason({ counters: grown = {} }: RawRun, hook: Hook, packet: Packet | undefined): LostReason {
  const found = counters.find(([, names]) => names.some((name) => (grown[name] ?? 0) > 0));
  if (found !== undefined) return found[0];
  if (packet?.fragment !== undefined && (hook === 'ingress' || hook === 'prerouting')) return 'fragment';
  if (packet !== undefined && isMartian(packet)) return 'martian';
  return hook === 'prerouting' || hook === 'output' ? 'routing' : 'unknown';
}

/** Loopback and multicast sources (RFC 1812 section 5.3.7). */
function isMartian({ source: { family, value } }: Packet): boolean {
  if (family === 4) return value >> 24n === 127n || value >> 28n === 14n;
  return value === 1n || value >> 120n === 0xffn;
}
