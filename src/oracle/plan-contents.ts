/** What stands in the sets of a plan where no daemon fills them: the policy's entries, and the host's own networks. */

import type { Manifest, ManifestSet, Plan, PlanEntry, SetRole } from '../compiler/plan.js';
import type { AddressRange, Family } from '../net/address.js';
import { formatAddress } from '../net/address.js';
import { formatMac } from '../net/mac.js';
import { formatPrefix, prefixRange, rangePrefix } from '../net/prefix.js';
import { flattenNested, mergeRanges, rangePrefixes } from '../net/ranges.js';
import { isInShard } from '../net/shards.js';
import type { Element, Expression } from '../nft/model.js';
import { deviceFlags, deviceMac, type HostInterface, networkOf } from './host.js';

/** By `family table set`. */
export function planContents(
  { tables, manifest }: Plan,
  interfaces: readonly HostInterface[],
  given: ReadonlyMap<string, readonly Element[]> = new Map(),
): Map<string, readonly Element[]> {
  const entries = new Map(tables.map((table) => [table.name, table.entries]));
  const contents = new Map<string, readonly Element[]>();
  for (const set of manifest.sets) {
    const path = setPath(manifest, set);
    const own = elementsFor(set, entries, interfaces);
    const elements = [...own, ...(given.get(path) ?? [])];
    if (elements.length > 0) contents.set(path, elements);
  }
  return contents;
}

/** `family table set`. */
export function setPath(manifest: Pick<Manifest, 'tables'>, { table, name }: ManifestSet): string {
  const owner = manifest.tables.find(({ family }) => family === table);
  return `${table} ${owner?.name ?? 'postern'} ${name}`;
}

function elementsFor(
  { role }: ManifestSet,
  entries: ReadonlyMap<string, readonly PlanEntry[]>,
  interfaces: readonly HostInterface[],
): Element[] {
  if (role.kind === 'table') {
    const { family, tier, shard } = role;
    const ranges = tableRanges(entries.get(role.table) ?? [], family);
    const own = ranges.filter((range) => (range.first === range.last) === (tier === 'hosts'));
    return own.filter((range) => shard === undefined || isInShard(range, shard)).map(elementOf);
  }
  if (role.kind === 'device-macs') return macsOf(interfaces);
  if (role.kind === 'device-flags') return flaggedOf(role, interfaces);
  if (role.kind !== 'interface') return [];
  const found = interfaces.find(({ device }) => device === role.device)?.addresses ?? [];
  const own = found.filter(({ address }) => address.family === role.family);
  if (role.part === 'address') {
    return own.map(({ address: { family, value } }) => elementOf({ family, first: value, last: value }));
  }
  return mergeRanges(own.map((address) => prefixRange(networkOf(address)))).map(elementOf);
}

/** The host's own `lo` counts, too, though a test needn't name it. */
function flaggedOf(
  { mask, value, device }: Extract<SetRole, { kind: 'device-flags' }>,
  interfaces: readonly HostInterface[],
): Element[] {
  const lo = { device: 'lo', addresses: [], gateways: [], routes: [] };
  const all = interfaces.some((one) => one.device === 'lo') ? interfaces : [...interfaces, lo];
  const flagged = all.filter((one) => (deviceFlags(one) & mask) === value).map((one) => one.device);
  if (device === undefined) return flagged.map((name) => ({ value: name }));
  return flagged.includes(device) ? [{ value: 'ipv4' }, { value: 'ipv6' }] : [];
}

function macsOf(interfaces: readonly HostInterface[]): Element[] {
  return interfaces.flatMap(({ device, pointToPoint }, index): Element[] =>
    pointToPoint ? [] : [{ value: device, data: formatMac({ value: Buffer.from(deviceMac(index)).readUIntBE(0, 6) }) }],
  );
}

/** What the entries of a table cover, the more exact one deciding. */
export function tableRanges(entries: readonly PlanEntry[], family: Family): AddressRange[] {
  const nested = entries
    .filter(({ range }) => range.family === family)
    .flatMap(({ range, not }) => rangePrefixes(range).map((prefix) => ({ prefix, not })));
  return flattenNested(nested);
}

export function elementOf(range: AddressRange): Element {
  return { value: literalOf(range) };
}

function literalOf(range: AddressRange): Expression {
  const { family, first, last } = range;
  if (first === last) return formatAddress({ family, value: first });
  const prefix = rangePrefix(range);
  if (prefix !== undefined) return formatPrefix(prefix);
  return { range: [formatAddress({ family, value: first }), formatAddress({ family, value: last })] };
}
