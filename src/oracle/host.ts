/** The host that packets are tried on, as a policy test writes it down. */

import type { ScratchDevice, ScratchHost } from '../kernel/scratch.js';
import { type Address, addressBits, highestValue, type Prefix } from '../net/address.js';
import { DEVICE_FLAGS } from '../wire/rtnetlink.js';
import { addressBody, routeBody } from '../wire/rtnetlink-setup.js';

/** One interface of a test's host. */
export interface HostInterface {
  readonly device: string;
  /** Without Ethernet headers: ppp, wireguard, tun. */
  readonly pointToPoint?: boolean;
  /** As `ip link` shows them (DEVICE_FLAGS); those of a device that is up and running when absent. */
  readonly flags?: number;
  readonly addresses: readonly InterfaceAddress[];
  /** Next hops of the default routes through it. */
  readonly gateways: readonly Address[];
  /** Networks behind it. */
  readonly routes: readonly { readonly to: Prefix; readonly via?: Address }[];
}

export interface InterfaceAddress {
  readonly address: Address;
  readonly length: number;
}

export interface HostModel {
  readonly interfaces: readonly HostInterface[];
  /** False for a host that is no router. */
  readonly forwarding: boolean;
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** The first index that our devices get: below it stands what a namespace may have of its own. */
const FIRST_INDEX = 10;
const ARPHRD_PPP = 512;

/** What a scratch host is built from. */
export function scratchHost({ interfaces, forwarding, sysctls }: HostModel): ScratchHost {
  const devices = interfaces.map(deviceOf);
  const forward = forwarding ? '1' : '0';
  return {
    devices,
    addresses: interfaces.flatMap(({ addresses }, index) =>
      addresses.map(({ address, length }) => addressBody(FIRST_INDEX + index, address, length)),
    ),
    routes: [...networkRoutes(interfaces), ...defaultRoutes(interfaces)],
    rules: [],
    sysctls: [['ipv4/ip_forward', forward], ['ipv6/conf/all/forwarding', forward], ...sysctls],
  };
}

/** The MAC that the device of an interface gets, by its place in the model. */
export const deviceMac = (index: number): Uint8Array => Uint8Array.of(0x02, 0, 0, 0, 0, (FIRST_INDEX + index) & 0xff);

function deviceOf({ device, pointToPoint }: HostInterface, index: number): ScratchDevice {
  const number = FIRST_INDEX + index;
  if (pointToPoint) return { name: device, index: number, arpType: ARPHRD_PPP };
  return { name: device, index: number, mac: deviceMac(index) };
}

const networkRoutes = (interfaces: readonly HostInterface[]): Uint8Array[] =>
  interfaces.flatMap(({ routes }, index) =>
    routes.map(({ to, via }) => routeBody(to, { device: FIRST_INDEX + index, ...(via !== undefined && { via }) })),
  );

const defaultRoutes = (interfaces: readonly HostInterface[]): Uint8Array[] =>
  interfaces.flatMap(({ gateways }, index) =>
    gateways.map((via) =>
      routeBody({ family: via.family, value: 0n, length: 0 }, { device: FIRST_INDEX + index, via }),
    ),
  );

/** What a device that is up and connected has. */
export function deviceFlags({ device, pointToPoint, flags }: HostInterface): number {
  if (flags !== undefined) return flags;
  const { up, running, lower_up, multicast, broadcast, pointopoint, noarp, loopback } = DEVICE_FLAGS;
  const alive = up | running | lower_up;
  if (device === 'lo') return alive | loopback;
  return alive | multicast | (pointToPoint ? pointopoint | noarp : broadcast);
}

/** The network that an interface's address is in. */
export function networkOf({ address, length }: InterfaceAddress): Prefix {
  const { family, value } = address;
  const below = highestValue(family) >> BigInt(length);
  const rest = length === addressBits(family) ? 0n : below;
  return { family, value: value & ~rest & highestValue(family), length };
}
