/** Names and numbers of what IP carries (IANA Protocol Numbers). */

import { invalid } from './text.js';

const numbers: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['ipip', 4],
  ['tcp', 6],
  ['egp', 8],
  ['igp', 9],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmpv6', 58],
  ['eigrp', 88],
  ['ospf', 89],
  ['pim', 103],
  ['ipcomp', 108],
  ['vrrp', 112],
  ['carp', 112],
  ['l2tp', 115],
  ['sctp', 132],
  ['udplite', 136],
  ['pfsync', 240],
]);

/** Other words for the same. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['ipencap', 'ipip'],
  ['ipv6-icmp', 'icmpv6'],
  ['icmp6', 'icmpv6'],
  ['ipsec-ah', 'ah'],
  ['ipsec-esp', 'esp'],
]);

const names: ReadonlyMap<number, string> = new Map([...numbers].reverse().map(([name, number]) => [number, name]));

/** Every name that `parseProtocol` takes, for suggestions. */
export const protocolNames: readonly string[] = [...numbers.keys(), ...aliases.keys()];

/**
 * Reads a protocol's name or number.
 * @throws PosternError `invalid`.
 */
export function parseProtocol(text: string): number {
  const byName = numbers.get(aliases.get(text) ?? text);
  if (byName !== undefined) return byName;
  if (/^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255) return Number(text);
  throw invalid(text, 'is not a protocol; write a name such as tcp, udp, gre or a number from 0 to 255');
}

/** The name, or the number where there is none. */
export function formatProtocol(protocol: number): string {
  return names.get(protocol) ?? String(protocol);
}
