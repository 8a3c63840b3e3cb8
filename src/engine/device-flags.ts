/** The sets of devices whose flags are as a rule wants them. */

import type { SetRole } from '../compiler/plan.js';
import type { ElementChange, ElementState, SetIndex } from '../kernel/kernel.js';
import type { Link } from '../kernel/links.js';
import { encodeKey } from '../nft/key.js';
import type { Element } from '../nft/model.js';

export type DeviceFlagsRole = Extract<SetRole, { kind: 'device-flags' }>;
type LinksNow = ReadonlyMap<string, Pick<Link, 'flags'>>;

/** What is in the set while the devices are so: names, or both families for a device that is fixed. */
export function flaggedDevices({ mask, value, device }: DeviceFlagsRole, links: LinksNow): readonly string[] {
  const isSo = (link: Pick<Link, 'flags'> | undefined): boolean => link !== undefined && (link.flags & mask) === value;
  if (device !== undefined) return isSo(links.get(device)) ? ['ipv4', 'ipv6'] : [];
  return [...links].filter(([, link]) => isSo(link)).map(([name]) => name);
}

export const flagElements = (values: readonly string[]): Element[] => values.map((value) => ({ value }));

/** What has to change in a set that holds `found`. */
export function flagChanges(
  set: SetIndex,
  { device }: DeviceFlagsRole,
  wanted: readonly string[],
  found: readonly ElementState[],
): ElementChange[] {
  const type = device === undefined ? 'ifname' : 'nf_proto';
  const keys = new Map(wanted.map((value) => [value, encodeKey([type], value)!.key]));
  const isIn = (key: Uint8Array, list: Iterable<Uint8Array>): boolean =>
    [...list].some((other) => Buffer.compare(key, other) === 0);
  const held = found.map(({ key }) => key);
  return [
    ...held.filter((key) => !isIn(key, keys.values())).map((key): ElementChange => ({ op: 'delete', set, key })),
    ...[...keys.values()].filter((key) => !isIn(key, held)).map((key): ElementChange => ({ op: 'add', set, key })),
  ];
}
