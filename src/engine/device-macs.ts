/** The map of devices to their MACs, with which traps at ingress sign their answers. */

import type { SetRole } from '../compiler/plan.js';
import type { ElementChange, SetIndex } from '../kernel/kernel.js';
import type { Link } from '../kernel/links.js';
import { formatMac } from '../net/mac.js';
import { encodeKey } from '../nft/key.js';
import type { Element } from '../nft/model.js';

export type DeviceMacsRole = Extract<SetRole, { kind: 'device-macs' }>;
type LinksNow = ReadonlyMap<string, Pick<Link, 'mac'>>;

/** MACs of the devices that are there and have one, by name. */
export function deviceMacs({ devices }: DeviceMacsRole, links: LinksNow): ReadonlyMap<string, Uint8Array> {
  const found = devices.map((device) => [device, links.get(device)?.mac] as const);
  return new Map(found.flatMap(([device, mac]) => (mac === undefined ? [] : [[device, mac] as const])));
}

/** Devices of which no answer can be sent now. */
export function missingDevices({ devices }: DeviceMacsRole, links: LinksNow): readonly string[] {
  return devices.filter((device) => links.get(device)?.mac === undefined);
}

export const macElements = (macs: ReadonlyMap<string, Uint8Array>): Element[] =>
  Array.from(macs, ([device, mac]) => ({
    value: device,
    data: formatMac({ value: Buffer.from(mac).readUIntBE(0, 6) }),
  }));

/** The whole map anew, in one transaction: a value can't be changed in place. */
export const macChanges = (set: SetIndex, macs: ReadonlyMap<string, Uint8Array>): ElementChange[] => [
  { op: 'flush', set },
  ...Array.from(macs, ([device, mac]): ElementChange => {
    const { key } = encodeKey(['ifname'], device)!;
    return { op: 'add', set, key, data: mac };
  }),
];
