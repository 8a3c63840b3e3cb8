/** What a table that lives in an ipset has beside the others. */

import type { AddressRange, Family } from '../../net/address.js';
import type { PortRange } from '../../net/port.js';
import type { IpsetDecl, TableDecl } from '../ast.js';
import { network } from '../formats/addresses.js';
import { ports } from '../formats/ports.js';
import type { Reader } from '../reader.js';
import { Type } from '../schema-type.js';
import { Value } from '../types.js';

export const ipsetTypes = ['hash:net', 'hash:ip', 'hash:ip,port', 'bitmap:ip'] as const;

export const ipsetSchema = Type.Object(
  {
    type: Type.Union(
      ipsetTypes.map((type) => Type.Literal(type)),
      { default: 'hash:net', description: 'hash:net takes hosts, prefixes and exceptions; the others hosts alone.' },
    ),
    tcp: Type.Optional(Type.Array(Value(ports('tcp')), { description: 'hash:ip,port: the TCP ports of each host.' })),
    udp: Type.Optional(Type.Array(Value(ports('udp')), { description: 'hash:ip,port: the UDP ports of each host.' })),
    range: Type.Optional(Value(network, { description: 'bitmap:ip: the IPv4 addresses that it can hold.' })),
    comments: Type.Boolean({ default: true, description: 'Keep the comments of entries in the kernel.' }),
    skbinfo: Type.Boolean({ default: false, description: 'Room for marks, priorities and queues of packets.' }),
  },
  { description: 'How the ipset looks; for `backend: ipset`.' },
);

/** As the schema reads it. */
export interface WrittenIpset {
  readonly type: IpsetDecl['type'];
  readonly tcp?: readonly PortRange[];
  readonly udp?: readonly PortRange[];
  readonly range?: AddressRange;
  readonly comments: boolean;
  readonly skbinfo: boolean;
}

const usual: WrittenIpset = { type: 'hash:net', comments: true, skbinfo: false };
const protocols = { tcp: 6, udp: 17 } as const;
/** Every host takes as many elements. */
const mostPorts = 64;
/** IPSET_BITMAP_MAX_RANGE. */
const mostAddresses = 65_536n;
/** IPSET_MAXNAMELEN, less its NUL. */
const longestName = 31;

/** The ipset of a table; undefined for tables of nft. */
export function ipsetOf(
  table: Pick<TableDecl, 'at' | 'name' | 'backend'>,
  written: WrittenIpset | undefined,
  reader: Reader,
): IpsetDecl | undefined {
  const wrong = (message: string, hint?: string) =>
    reader.log.error(table.at, `table "${table.name}": ${message}`, hint);
  if (table.backend !== 'ipset') {
    if (written !== undefined) wrong('"ipset" says how an ipset looks, and it is none', 'add "backend: ipset"');
    return undefined;
  }
  const { type, tcp = [], udp = [], range, comments, skbinfo } = written ?? usual;
  const listed = [...portsOf(protocols.tcp, tcp), ...portsOf(protocols.udp, udp)];
  if (ipsetName(table.name, 6).length > longestName) wrong(`the name of an ipset has at most ${longestName} letters`);
  if (type === 'hash:ip,port' && listed.length === 0) wrong(`${type} needs the ports`, 'as in "tcp: [25, 587]"');
  if (type !== 'hash:ip,port' && listed.length > 0) wrong(`${type} has no ports`, 'take "type: hash:ip,port"');
  if (listed.length > mostPorts) wrong(`${listed.length} ports are too many`, `at most ${mostPorts}`);
  if (type === 'bitmap:ip' && !isBitmap(range)) wrong(`${type} needs a range of at most 65,536 IPv4 addresses`);
  if (type !== 'bitmap:ip' && range !== undefined) wrong(`${type} has no range`, 'take "type: bitmap:ip"');
  return {
    type,
    comment: comments,
    skbinfo,
    ...(listed.length > 0 && { ports: listed }),
    ...(range !== undefined && { range }),
  };
}

/** Entries of the policy that the table's ipset can't hold. */
export function checkIpsetEntries({ name, entries, ipset }: TableDecl, reader: Reader): void {
  if (ipset === undefined || ipset.type === 'hash:net') return;
  const { type, range: bounds } = ipset;
  for (const { at, range, not } of entries) {
    const holds =
      !not &&
      range.first === range.last &&
      (bounds === undefined || (range.family === 4 && range.first >= bounds.first && range.last <= bounds.last));
    if (holds) continue;
    const what = bounds === undefined ? 'single addresses' : 'single addresses of its range';
    reader.log.error(at, `table "${name}": ${type} holds ${what}`, 'take "type: hash:net"');
  }
}

/** What `-m set --match-set` calls it: IPv6 has a set of its own. */
export function ipsetName(table: string, family: Family): string {
  return family === 4 ? table : `${table}6`;
}

function isBitmap(range: AddressRange | undefined): boolean {
  return range !== undefined && range.family === 4 && range.last - range.first < mostAddresses;
}

function portsOf(
  protocol: number,
  ranges: readonly PortRange[],
): { readonly protocol: number; readonly port: number }[] {
  return ranges.flatMap(({ first, last }) =>
    Array.from({ length: Math.min(last - first + 1, mostPorts + 1) }, (_, index) => ({
      protocol,
      port: first + index,
    })),
  );
}
