/** The elements of live sets that a packet can touch, for the sets of a plan. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import { carriedElements } from '../kernel/carry.js';
import type { ElementState, Kernel } from '../kernel/kernel.js';
import { addressBytes } from '../net/address.js';
import { encodeKey, keyLength } from '../nft/key.js';
import type { Element } from '../nft/model.js';
import { type Packet, portsOf } from '../wire/packet.js';
import { setPath } from './plan-contents.js';
import type { SetContents } from './trial.js';

export interface LiveElements {
  readonly contents: SetContents;
  readonly copied: readonly string[];
  readonly caveats: readonly string[];
}

/** Values that the parts of a key may have for a packet. */
type Candidates = Readonly<Record<string, readonly (string | number)[]>>;

const MOST_KEYS = 64;

/**
 * @param live the manifest of what is loaded, which the kernel has adopted
 * @param devices that the packet may come in and go out by
 */
export async function liveElements(
  kernel: Kernel,
  live: Manifest,
  plan: Plan,
  packets: readonly Packet[],
  devices: readonly string[],
): Promise<LiveElements> {
  const contents = new Map<string, readonly Element[]>();
  const copied: string[] = [];
  const caveats: string[] = [];
  const limited = limitedSets(plan);
  for (const set of plan.manifest.sets) {
    if (set.contents !== undefined || limited.has(`${set.table} ${set.name}`)) continue;
    const index = live.sets.findIndex((one) => one.table === set.table && roleKey(one) === roleKey(set));
    if (index < 0) continue;
    if (keyLength(set.key) === undefined || set.data !== undefined) {
      caveats.push(`what is in set ${set.name} was not copied`);
      continue;
    }
    const elements = carriedElements(set, await lookUp(kernel, index, set, packets, devices));
    // Empty, too: the plan may have contents that a new set begins with.
    contents.set(setPath(plan.manifest, set), elements);
    if (elements.length > 0) copied.push(`${elements.length} of the elements of ${set.name}`);
  }
  return { contents, copied, caveats };
}

const roleKey = ({ role }: ManifestSet): string => JSON.stringify(Object.entries(role).sort());

async function lookUp(
  kernel: Kernel,
  index: number,
  set: ManifestSet,
  packets: readonly Packet[],
  devices: readonly string[],
): Promise<ElementState[]> {
  const keys = new Map<string, Uint8Array>();
  for (const packet of packets) {
    for (const key of keysOf(set.key, candidatesOf(packet, devices))) keys.set(Buffer.from(key).toString('hex'), key);
  }
  const states = await Promise.all([...keys.values()].map((key) => kernel.get(index, { key })));
  const found = states.flatMap((state) => (state === undefined ? [] : [state]));
  return [...new Map(found.map((state) => [Buffer.from(state.key).toString('hex'), state])).values()];
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
