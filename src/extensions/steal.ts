/**
 * STEAL: the packet is gone, and its sender isn't told. In output a `drop` is an error for whoever sends; so the packet
 * goes its way to the device, which hands it to `lo`, where it is dropped.
 */

import { accept, drop, fwd, matchBits, meta, setMarkBits } from '../nft/build.js';
import { Type } from '../policy/schema-type.js';
import { actionWord, type Extension } from './extension.js';
import { type ActionFragment, does } from './fragment.js';
import { leavingDevices } from './leaving-devices.js';
import type { Site } from './site.js';

export const steal: Extension = {
  name: 'STEAL',
  summary: 'Drops packets of this host without an error for the program that sends them.',
  actions: [
    actionWord(
      {
        name: 'steal',
        description: 'Discard it, and let a sender on this host believe that it went out.',
        schema: Type.Object({}),
        phrase: 'steal',
        final: true,
      },
      { compile: (_, site) => stealing(site) },
    ),
  ],
  iptables: [{ kind: 'target', module: 'STEAL', options: {}, read: () => ({ action: 'steal' }) }],
  parity: {
    original: 'xt_STEAL',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'in output and postrouting the rule has to name the devices that the packets leave by',
      'a stolen packet of a tracked connection leaves an entry in conntrack, as a sent one does',
    ],
    checked: 'a sending socket gets no error, where a drop is one, and nothing leaves, both families',
  },
};

function stealing(site: Site): ActionFragment {
  const isOwn = site.hooks.some((hook) => hook === 'output' || hook === 'postrouting');
  if (!isOwn) {
    site.note('a drop: nobody here has sent the packet');
    return { ...does(drop), final: true };
  }
  const devices = leavingDevices(site);
  if (devices === undefined) {
    return site.refuse(
      'steal takes the packet at the device that it leaves by, which this rule leaves open',
      'add "out:" with the names of devices',
    );
  }
  const { mask } = site.markBits('packet', 'steal', 1);
  const isStolen = matchBits(meta('mark'), mask, mask);
  const base = { type: 'filter', policy: 'accept' } as const;
  for (const device of devices) {
    const egress = { ...base, hook: 'egress', priority: 0, devices: [device] } as const;
    site.sharedBaseChain(`steal_${device}`, egress, [{ statements: [isStolen, fwd('lo')] }], 'netdev');
  }
  const ingress = { ...base, hook: 'ingress', priority: -499, devices: ['lo'] } as const;
  site.sharedBaseChain('stolen', ingress, [{ statements: [isStolen, drop] }], 'netdev');
  site.note(`taken at ${devices.join(', ')} and dropped on lo: a drop here would be an error for the sender`);
  return { lines: [{ statements: [setMarkBits('meta', mask, mask), accept] }], inline: true, final: true };
}
