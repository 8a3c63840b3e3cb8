/**
 * CHECKSUM: the checksum of a DHCP answer to a guest is filled in, for clients that read frames and don't know that the
 * host leaves checksums to the device. nft can't compute one; IPv4 may say that there is none, which those clients take.
 * Where a device completes the checksum afterwards that would spoil it: only towards guests of this host.
 */

import { mangle, udp } from '../nft/build.js';
import { present } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { actionWord, type Extension } from './extension.js';
import type { ActionFragment } from './fragment.js';
import { leavingDevices } from './leaving-devices.js';
import type { Site } from './site.js';

/** Host ends of guests' devices, as libvirt, qemu, xen, docker, lxc and systemd name them. */
const guestNames = /^(vnet|tap|veth|vif|vmtap|macvtap|ve-|vb-|lxc|cali|fwpr|fwln)/;
/** What has a wire at its end, or a tunnel. */
const wireNames = /^(eth|en[ospx]|wl|ww|bond|team|ppp|ib|sl)/;

export const checksum: Extension = {
  name: 'CHECKSUM',
  summary: 'Makes DHCP answers to guests readable for clients that check what the host leaves to the device.',
  actions: [
    actionWord(
      {
        name: 'checksum',
        description: 'Send UDP over IPv4 to guests of this host without a checksum.',
        schema: Type.Object({
          guests: Type.Optional(
            Value(present, {
              description: 'The devices of `out` have guests of this host behind them, whatever they are called.',
            }),
          ),
        }),
        places: ['postrouting'],
      },
      { compile: ({ guests }, site) => clearing(guests === true, site) },
    ),
  ],
  iptables: [
    {
      kind: 'target',
      module: 'CHECKSUM',
      options: { 'checksum-fill': 0 },
      read: () => ({
        action: 'checksum',
        notes: ['checksum-fill becomes "no checksum", for guests of this host only'],
      }),
    },
  ],
  parity: {
    original: 'xt_CHECKSUM',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'the checksum of UDP over IPv4 is cleared ("none") instead of filled in: nft can compute none',
      'only towards guests of this host; towards a wire, where it would be spoiled, and for IPv6 it is refused: there "ethtool -K DEVICE tx off" on the sending device does it',
    ],
    checked: 'datagrams through the kernel: cleared for IPv4, untouched for IPv6; refusals',
  },
};

function clearing(guests: boolean, site: Site): ActionFragment {
  const hint = 'for other traffic, switch the offload of the sender\'s device off: "ethtool -K DEVICE tx off"';
  if (site.rule.protocols?.length !== 1 || site.rule.protocols[0] !== 17) {
    site.refuse('only UDP can do without a checksum', `add "udp: 68"; ${hint}`);
  }
  if (!site.rule.families.includes(4)) site.refuse('UDP over IPv6 must have a checksum (RFC 8200)', hint);
  const devices = leavingDevices(site);
  if (devices === undefined) {
    return site.refuse(
      'a device that completes checksums would spoil the packet',
      'add "out:" with the devices of guests, such as vnet0',
    );
  }
  const wire = devices.find((device) => wireNames.test(device));
  if (wire !== undefined && !guests) {
    return site.refuse(`towards ${wire} the device completes the checksum, and clearing it here would spoil it`, hint);
  }
  const unknown = devices.find((device) => !guestNames.test(device));
  if (unknown !== undefined && !guests) {
    return site.refuse(
      `${unknown} may complete checksums, and clearing them here would spoil them`,
      'if it has guests of this host behind it, write { checksum: { guests: true } }',
    );
  }
  site.note('the checksum is cleared: nft can compute none, and UDP over IPv4 may do without');
  return { lines: [{ family: 4, statements: [mangle(udp('checksum'), 0)] }] };
}
