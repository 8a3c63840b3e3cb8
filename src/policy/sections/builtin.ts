/** Lists of addresses that a table can begin with. */

import { parseRange } from '../../net/prefix.js';
import type { Position, TableEntry } from '../ast.js';

/**
 * What the IANA special-purpose registries (RFC 6890) call not globally reachable. Left out is what a host needs on its own
 * link: multicast, link-local IPv6, the unspecified IPv6 address (duplicate address detection), and limited broadcast.
 */
const martians = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0-255.255.255.254',
  '::1',
  '::ffff:0:0/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:2::/48',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
];

/** RFC 1918 section 3. */
const rfc1918 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];

const lists = { martians, rfc1918 } as const;

export type BuiltinName = keyof typeof lists;

export const builtinNames = Object.keys(lists) as BuiltinName[];

/** The entries, as if they stood where the list is named. */
export function builtinEntries(name: BuiltinName, at: Position): TableEntry[] {
  return lists[name].map((text) => ({ at, range: parseRange(text), not: false }));
}
