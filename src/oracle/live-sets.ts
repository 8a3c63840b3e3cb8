/** The elements of live sets that a packet can touch, for the sets of a plan. */

import type { ManifestSet, Plan } from '../compiler/plan.js';
import { carriedElements, elementTerms } from '../kernel/carry.js';
import type { ElementState } from '../kernel/kernel.js';
import type { LiveSets } from '../kernel/live-sets.js';
import { type Address, addressBytes, addressFromBytes, type Family, formatAddress } from '../net/address.js';
import { formatRange, rangeContains } from '../net/prefix.js';
import { isInShard } from '../net/shards.js';
import { renderExpression } from '../nft/expression.js';
import { encodeKey, keyLength } from '../nft/key.js';
import type { Element, Ruleset } from '../nft/model.js';
import { type Packet, portsOf } from '../wire/packet.js';
import type { HostInterface } from './host.js';
import { planContents, setPath, tableRanges } from './plan-contents.js';
import { setLabel } from './set-label.js';
import type { SetContents } from './trial.js';

export interface Copies {
  readonly contents: SetContents;
  readonly copied: readonly string[];
  readonly caveats: readonly string[];
}

/** Values that the parts of a key may have for a packet. */
type Candidates = Readonly<Record<string, readonly (string | number)[]>>;

const MOST_KEYS = 64;

/** What is on the host: its sets, and what loaded them. */
export interface Loaded {
  readonly sets: LiveSets;
  readonly plan: Pick<Plan, 'manifest' | 'tables'>;
}

/** What is tried. */
export interface Tried {
  readonly plan: Plan;
  /** Whose addresses and ports sets are asked for. */
  readonly packets: readonly Packet[];
  readonly interfaces: readonly HostInterface[];
}

/**
 * What stands in the sets of a plan as far as packets can touch it: tables by what they hold on the host and what the
 * plan says of them, what rules remember by what is on the host, and the host's own networks.
 */
export function copiedContents({ plan, packets, interfaces }: Tried, loaded: Loaded | undefined): Copies {
  const { manifest } = plan;
  const contents = new Map<string, readonly Element[]>();
  const copied: string[] = [];
  const caveats: string[] = [];
  const limited = limitedSets(plan);
  const planned = planContents({ ...plan, tables: [] }, interfaces);
  const devices = interfaces.map(({ device }) => device);
  for (const set of manifest.sets) {
    const path = setPath(manifest, set);
    if (set.role.kind === 'interface' || set.role.kind === 'device-macs') {
      if (planned.has(path)) contents.set(path, planned.get(path)!);
      continue;
    }
    if (set.contents !== undefined || limited.has(`${set.table} ${set.name}`)) continue;
    if (set.role.kind !== 'table' && !isKnowable(set)) {
      if (loaded !== undefined) caveats.push(`what is in ${setLabel(set, manifest)} was not copied`);
      continue;
    }
    const { elements, told, isLive } = elementsFor(set, { plan, packets, devices }, loaded);
    const own = isLive || set.role.kind === 'table' ? elements : planned.get(path);
    // Empty, too: the plan may have contents that a new set begins with.
    if (own !== undefined && (isLive || own.length > 0)) contents.set(path, own);
    copied.push(...told.map((text) => `of ${setLabel(set, manifest)}: ${text}`));
  }
  return { contents, copied: [...new Set(copied)], caveats };
}

const knowable: ReadonlySet<string> = new Set([
  ...['ipv4_addr', 'ipv6_addr', 'inet_service', 'inet_proto', 'nf_proto'],
  ...['ifname', 'mark', 'icmp_type', 'icmpv6_type'],
]);

/** Does a packet say which keys of the set it can touch? */
const isKnowable = ({ key, data }: ManifestSet): boolean =>
  data === undefined && keyLength(key) !== undefined && key.every((type) => knowable.has(type));

interface Found {
  readonly elements: readonly Element[];
  /** What was found on the host, for people. */
  readonly told: readonly string[];
  /** The host has such a set. */
  readonly isLive: boolean;
}

interface Sought {
  readonly plan: Plan;
  readonly packets: readonly Packet[];
  readonly devices: readonly string[];
}

function elementsFor(set: ManifestSet, { plan, packets, devices }: Sought, loaded: Loaded | undefined): Found {
  if (set.role.kind === 'table') {
    const addresses = packets.flatMap(({ source, destination }) => [source, destination]);
    return tableElements({ ...set, role: set.role }, addresses, plan.tables, loaded);
  }
  const live = loaded?.plan.manifest.sets.find((one) => one.table === set.table && roleKey(one) === roleKey(set));
  if (live === undefined || loaded === undefined) return { elements: [], told: [], isLive: false };
  const elements = carriedElements(set, lookUp(loaded.sets, live, packets, devices));
  return { elements, told: elements.map(({ value }) => renderExpression(value)), isLive: true };
}

type TableRole = Extract<ManifestSet['role'], { kind: 'table' }>;

/**
 * The addresses that are in a table, each alone: intervals around them could overlap with others. The host's sets know
 * best, exceptions too; where the policy that is tried says something else of an address than the one that is loaded,
 * that counts.
 */
function tableElements(
  set: ManifestSet & { readonly role: TableRole },
  addresses: readonly Address[],
  tables: Plan['tables'],
  loaded: Loaded | undefined,
): Found {
  const elements: Element[] = [];
  const told: string[] = [];
  const { role } = set;
  const { table, tier, family } = role;
  const live = loaded?.plan.manifest.sets.filter((one) => isSameTier(one.role, role)) ?? [];
  const own = addresses.filter((one) => one.family === family && canHold(role, one));
  for (const address of new Map(own.map((one) => [one.value, one])).values()) {
    const at = live.find((one) => canHold(one.role as TableRole, address));
    const there = at && loaded!.sets.covering(at, addressBytes(address));
    const tried = policySays(tables, table, address);
    const known = live.length === 0 ? 'out' : policySays(loaded!.plan.tables, table, address);
    const isLive = there !== undefined && (tried === known || known === 'out');
    const isNew = tried === 'in' && known === 'out' && tier === 'hosts';
    if (!isLive && !isNew) continue;
    elements.push({ value: formatAddress(address), ...(isLive && elementTerms(set, there)) });
    if (isLive) told.push(intervalText(there, family));
  }
  return { elements, told, isLive: live.length > 0 };
}

/** A table may be spread over another number of sets in the policy that is tried. */
const isSameTier = (role: ManifestSet['role'], { table, tier, family }: TableRole): boolean =>
  role.kind === 'table' && role.table === table && role.tier === tier && role.family === family;

const canHold = ({ shard }: TableRole, { family, value }: Address): boolean =>
  shard === undefined || isInShard({ family, first: value, last: value }, shard);

/** What the entries of a policy say of an address: the most exact one decides. */
function policySays(tables: Plan['tables'], name: string, address: Address): 'in' | 'out' {
  const entries = tables.find((table) => table.name === name)?.entries ?? [];
  const isIn = tableRanges(entries, address.family).some((range) => rangeContains(range, address));
  return isIn ? 'in' : 'out';
}

function intervalText({ key, keyEnd = key }: ElementState, family: Family): string {
  return formatRange({ family, first: addressFromBytes(key).value, last: addressFromBytes(keyEnd).value });
}

const roleKey = ({ role }: { readonly role: object }): string => JSON.stringify(Object.entries(role).sort());

function lookUp(
  live: LiveSets,
  set: ManifestSet,
  packets: readonly Packet[],
  devices: readonly string[],
): ElementState[] {
  const keys = new Map<string, Uint8Array>();
  for (const packet of packets) {
    for (const key of keysOf(set.key, candidatesOf(packet, devices))) keys.set(Buffer.from(key).toString('hex'), key);
  }
  const found = [...keys.values()].flatMap((key) => live.covering(set, key) ?? []);
  // One interval may cover several of the keys.
  return [...new Map(found.map((state) => [Buffer.from(state.key).toString('hex'), state])).values()];
}

/** The plan's ruleset with as much of its quotas used as on the host. */
export function withLiveQuotas({ ruleset, manifest }: Plan, loaded: Loaded | undefined): Ruleset {
  if (loaded === undefined) return ruleset;
  const used = new Map<string, bigint>();
  for (const object of manifest.objects) {
    if (object.kind !== 'quota') continue;
    const known = loaded.plan.manifest.objects.find(
      (one) => one.table === object.table && roleKey(one) === roleKey(object),
    );
    const bytes = known && loaded.sets.object(known)?.usedBytes;
    if (bytes !== undefined && bytes > 0n) used.set(`${object.table} ${object.name}`, bytes);
  }
  if (used.size === 0) return ruleset;
  return {
    tables: ruleset.tables.map((table) => ({
      ...table,
      objects: table.objects.map((object) => {
        const bytes = used.get(`${table.family} ${object.name}`);
        return object.kind === 'quota' && bytes !== undefined ? { ...object, used: Number(bytes) } : object;
      }),
    })),
  };
}

/** Sets whose elements hold more than a count: an element that lacks its limit would match always. */
function limitedSets({ ruleset }: Plan): Set<string> {
  const names = new Set<string>();
  for (const { family, chains } of ruleset.tables) {
    for (const statement of chains.flatMap(({ rules }) => rules.flatMap((rule) => rule.statements))) {
      const isLimited = 'set' in statement && statement.set.stmt?.some((one) => !('counter' in one));
      if (isLimited) names.add(`${family} ${statement.set.set.replace('@', '')}`);
    }
  }
  return names;
}

function candidatesOf(packet: Packet, devices: readonly string[]): Candidates {
  const ports = portsOf(packet);
  const addresses = [packet.source, packet.destination].map((address) =>
    Buffer.from(addressBytes(address)).toString('hex'),
  );
  const own = packet.source.family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  return {
    [own]: addresses,
    inet_service: ports === undefined ? [] : [ports.destinationPort, ports.sourcePort],
    inet_proto: [packet.protocol],
    nf_proto: [packet.source.family === 4 ? 'ipv4' : 'ipv6'],
    ifname: devices,
    mark: [0],
    ...(packet.icmp !== undefined && { icmp_type: [packet.icmp.type], icmpv6_type: [packet.icmp.type] }),
  };
}

/** Every combination, up to a bound. */
function keysOf(types: readonly string[], candidates: Candidates): Uint8Array[] {
  let rows: Uint8Array[][] = [[]];
  for (const type of types) {
    const parts = (candidates[type] ?? []).map((value) => partBytes(type, value));
    rows = rows.flatMap((row) => parts.map((part) => [...row, part])).slice(0, MOST_KEYS);
  }
  return rows.map((row) => (row.length === 1 ? row[0]! : Buffer.concat(row.map(padded))));
}

function partBytes(type: string, value: string | number): Uint8Array {
  if (type === 'ipv4_addr' || type === 'ipv6_addr') return Buffer.from(String(value), 'hex');
  return encodeKey([type], value)?.key ?? new Uint8Array(0);
}

const padded = (part: Uint8Array): Uint8Array => Buffer.concat([part], Math.ceil(part.length / 4) * 4);
