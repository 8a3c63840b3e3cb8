/**
 * TEE: a copy of the packet to another host on a link of this one. nft's `dup` doesn't exist in `inet`: the rule sets a
 * bit of the mark, and a chain right behind it in `ip` or `ip6` sends the copy.
 */

import { type AddressRange, formatAddress } from '../net/address.js';
import { isHost, rangePrefix } from '../net/prefix.js';
import { and, dup, mangle, matchBits, meta, setMarkBits } from '../nft/build.js';
import type { Hook, Statement } from '../nft/model.js';
import { network } from '../policy/formats/addresses.js';
import { interfaceName } from '../policy/formats/interfaces.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { actionWord, type Extension } from './extension.js';
import type { ActionFragment } from './fragment.js';
import type { Site } from './site.js';

/** Of the policy's chains, plus one. */
const behind: Partial<Readonly<Record<Hook, number>>> = {
  prerouting: -149,
  input: 1,
  forward: 1,
  output: 1,
  postrouting: -149,
};

export const tee: Extension = {
  name: 'TEE',
  summary: 'Sends a copy of each packet to another host.',
  actions: [
    actionWord(
      {
        name: 'tee',
        description: 'Send a copy to a host on a directly connected network, by its route or by this interface.',
        schema: Type.Object({ to: Value(network), via: Type.Optional(Value(interfaceName)) }),
        phrase: 'tee to {to} [via {via}]',
        places: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
      },
      { everyPacket: true, compile: ({ to, via }, site) => copying(to, via?.device, site) },
    ),
  ],
  iptables: [
    {
      kind: 'target',
      module: 'TEE',
      options: { gateway: 1, oif: 1 },
      read(options) {
        const oif = options.get('oif')?.value;
        return { action: `tee to ${options.get('gateway')?.value ?? ''}${oif === undefined ? '' : ` via ${oif}`}` };
      },
    },
  ],
  parity: {
    original: 'xt_TEE',
    runs: 'kernel',
    standing: 'exact',
    checked:
      'copies and originals as they leave, both families, with and without a device, in prerouting, output and postrouting',
  },
};

function copying(to: AddressRange, device: string | undefined, site: Site): ActionFragment {
  const { family } = to;
  if (!isAddress(to)) site.refuse('a copy goes to one host', 'write its address, as in "tee to 192.0.2.1"');
  if (device?.endsWith('*')) site.refuse(`a copy leaves by one device, and ${device} stands for several`, 'name one');
  if (!site.rule.families.includes(family)) {
    site.refuse(`packets of the other family can't be sent to an address of IPv${family}`, 'write two rules');
  }
  if (isDropped(site)) {
    site.refuse(
      'the copy is made behind this chain, which a dropped packet never reaches',
      'copy it in prerouting, and drop it in input or forward',
    );
  }
  const address = formatAddress({ family, value: to.first });
  const { mask } = site.markBits('packet', `tee ${address} ${device ?? ''}`.trim(), 1);
  const table = family === 4 ? 'ip' : 'ip6';
  const send: readonly Statement[] = [
    matchBits(meta('mark'), mask, mask),
    mangle(meta('mark'), and(meta('mark'), ~mask >>> 0)),
    dup(address, device),
  ];
  for (const hook of site.hooks) {
    const priority = behind[hook];
    if (priority === undefined) site.refuse(`tee can't stand in ${hook}`);
    else {
      const base = { type: 'filter', hook, priority, policy: 'accept' } as const;
      site.sharedBaseChain(`tee_${hook}`, base, [{ statements: send }], table);
    }
  }
  site.note(`the copy is sent from table ${table}, right behind this chain: dup doesn't exist in inet`);
  return { lines: [{ family, statements: [setMarkBits('meta', mask, mask)] }] };
}

function isAddress(to: AddressRange): boolean {
  const prefix = rangePrefix(to);
  return prefix !== undefined && isHost(prefix);
}

const isDropped = ({ ast }: Site): boolean =>
  ast.actions.some(({ action }) => action === 'drop' || action === 'block' || action === 'reject');
