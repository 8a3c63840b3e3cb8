/**
 * RAWSNAT and RAWDNAT: addresses are exchanged in every packet, without a memory of connections. The bits of the
 * prefix come from the rule, the others stay. Typed writes keep the checksums of IP, TCP, UDP and ICMPv6 right.
 */

import { type AddressRange, addressBits, type Family, formatAddress } from '../net/address.js';
import { rangePrefix } from '../net/prefix.js';
import { and, mangle, notrack, or } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';
import { network } from '../policy/formats/addresses.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { addressOf } from './address-field.js';
import { type ActionCompiler, actionWord, type Extension } from './extension.js';
import type { ActionFragment } from './fragment.js';
import type { IptablesSyntax } from './iptables.js';
import type { Site } from './site.js';

const parity = (original: string): Extension['parity'] => ({
  original,
  runs: 'kernel',
  standing: 'differs',
  how: [
    'output sends the packet by the route of its new destination; the original keeps the first one',
    'the packets of the rule are not tracked; those that come back must be left untracked by a rule of their own',
  ],
  checked:
    'TCP, UDP, ICMP and fragments of both families through the kernel in prerouting, output and postrouting: checksums recomputed; real clients with checksum offload and without, and nothing in conntrack',
});

export const rawdnat: Extension = {
  name: 'RAWDNAT',
  summary: 'Exchanges the network part of the destination in every packet, without connection tracking.',
  actions: [translator('rawdnat', 'destination', 'Give it a destination in this network, packet by packet.')],
  iptables: [syntax('RAWDNAT', 'to-destination', 'rawdnat')],
  parity: parity('xt_RAWDNAT'),
};

export const rawsnat: Extension = {
  name: 'RAWSNAT',
  summary: 'Exchanges the network part of the source in every packet, without connection tracking.',
  actions: [translator('rawsnat', 'source', 'Give it a source in this network, packet by packet.')],
  iptables: [syntax('RAWSNAT', 'to-source', 'rawsnat')],
  parity: parity('xt_RAWSNAT'),
};

function translator(name: string, side: 'source' | 'destination', description: string): ActionCompiler {
  return actionWord(
    {
      name,
      description,
      schema: Type.Object({ to: Value(network) }),
      phrase: `${name} to {to}`,
      places: ['prerouting', 'output', 'postrouting'],
    },
    { raw: true, compile: ({ to }, site) => translating(side, to, site) },
  );
}

function translating(side: 'source' | 'destination', to: AddressRange, site: Site): ActionFragment {
  const { family } = to;
  if (!site.rule.families.includes(family)) {
    site.refuse(`an address of IPv${family} can't stand in packets of the other family`, 'write two rules');
  }
  const field = addressOf(side, family);
  const untracked: Statement[] = site.hooks.includes('postrouting') ? [] : [notrack];
  site.note(
    site.hooks.includes('postrouting')
      ? 'rewritten behind connection tracking, at priority 300; replies are tracked unless a rule with notrack takes them'
      : 'rewritten before connection tracking, at priority -300, and not tracked',
  );
  return {
    lines: [{ family, statements: [...untracked, mangle(field, mapped(field, to, site))] }],
    inline: true,
    families: [family],
  };
}

function mapped(field: Expression, to: AddressRange, site: Site): Expression {
  const prefix = rangePrefix(to);
  const { family } = to;
  const width = addressBits(family);
  if (prefix === undefined) {
    return site.refuse('packets are mapped one to one, which a range of addresses is too uneven for', 'take a prefix');
  }
  if (prefix.length === 0)
    return site.refuse('a prefix of no bits changes nothing', 'name the network, as 192.0.2.0/24');
  const network = formatAddress({ family, value: prefix.value });
  if (prefix.length === width) return network;
  const rest = formatAddress({ family, value: hostBits(family, prefix.length) });
  return or(and(field, rest), network);
}

const hostBits = (family: Family, length: number): bigint => (1n << BigInt(addressBits(family) - length)) - 1n;

function syntax(module: string, option: string, word: string): IptablesSyntax {
  return {
    kind: 'target',
    module,
    options: { [option]: 1 },
    read: (options) => ({ action: `${word} to ${options.get(option)?.value ?? ''}` }),
  };
}
