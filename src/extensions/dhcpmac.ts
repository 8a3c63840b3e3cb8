/**
 * dhcpmac and DHCPMAC: the client's hardware address in DHCP messages, matched and exchanged.
 *
 * It stands 36 bytes behind the beginning of the UDP header. nft writes there without a care for the checksum; but since
 * the old prefix is known, so is what the checksum must change by. A typed write of a wrong port changes it so, and a raw
 * write puts the port back, unnoticed by the checksum.
 */

import type { Static } from 'typebox';
import { formatMac, parseMac } from '../net/mac.js';
import { and, goto, mangle, match, meta, oneOf, or, raw, returnVerdict, udp } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';
import type { Match } from '../policy/ast.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { type Format, Value } from '../policy/types.js';
import { actionWord, type Extension, matchWord } from './extension.js';
import { type ActionFragment, holds, type Line } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { Site } from './site.js';

/** The first `length` bits of an Ethernet address; the others are zero. */
interface MacPrefix {
  readonly bits: bigint;
  readonly length: number;
}

const macBits = 48;
const macPrefix: Format<MacPrefix> = {
  name: 'mac-prefix',
  label: 'MAC',
  description: 'An Ethernet address, or the first bits of one: 00:50:56:00:00:00/24.',
  json: { type: 'string', pattern: '^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}(/[0-9]+)?$' },
  parse({ value }) {
    const [, mac = '', length = '48'] = /^([^/]*)(?:\/([0-9]{1,2}))?$/.exec(value) ?? [];
    const bits = BigInt(parseMac(mac).value);
    const prefix = Number(length);
    if (prefix < 1 || prefix > macBits) {
      throw new Misread(`"${value}": a prefix of an Ethernet address has 1 to 48 bits`);
    }
    return { bits: bits & maskOf(prefix), length: prefix };
  },
};

const maskOf = (length: number): bigint => ((1n << BigInt(length)) - 1n) << BigInt(macBits - length);

const schema = Value(macPrefix);
const rewriting = Type.Object({ to: Value(macPrefix), bridged: Type.Optional(Type.Literal('bridged')) });

export const dhcpmac: Extension = {
  name: 'DHCPMAC',
  summary: 'Matches and exchanges the hardware address in DHCP messages.',
  matches: [
    matchWord(
      {
        name: 'dhcpmac',
        description: 'The client hardware address in a DHCP message begins so.',
        schema,
        negatable: true,
        needs: ['udp'],
      },
      { compile: (prefix) => holds(hasPrefix(prefix)) },
    ),
  ],
  actions: [
    actionWord(
      {
        name: 'dhcpmac',
        description: 'Exchange the beginning of the client hardware address in a DHCP message.',
        schema: rewriting,
        phrase: 'dhcpmac to {to} [{bridged}]',
        places: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
      },
      { compile: exchanging },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'dhcpmac',
      options: { mac: 1 },
      negatable: ['mac'],
      read: (options) => ({ match: { dhcpmac: negatable(options.get('mac')) } }),
    },
    { kind: 'target', module: 'DHCPMAC', options: { 'set-mac': 1 }, read: readTarget },
  ],
  parity: {
    original: 'xt_DHCPMAC',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'the rule has to match what it exchanges (dhcpmac), so that the checksum can be put right',
      'bits behind the prefix stay as they are; the original clears all 16 bytes first',
      'a prefix of the match means what it says; a mask of the original misses addresses that it covers',
      'bridged packets are reached by "bridged", without br_netfilter',
    ],
    checked:
      'forwarded DHCP messages in both directions, prefixes of 20, 24 and 48 bits, checksums recomputed, and without a checksum; bridged messages, with checksum offload and without',
  },
};

function negatable(option: IptablesOption | undefined): string {
  return `${option?.negated ? 'not ' : ''}${option?.value ?? ''}`;
}

function readTarget(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  return {
    action: `dhcpmac to ${options.get('set-mac')?.value ?? ''}`,
    notes: ['the rule needs a match "dhcpmac:" of the prefix that is exchanged'],
  };
}

const firstBit = 288;
const windowOf = (length: number): Expression => raw('th', firstBit, length);

function hasPrefix({ bits, length }: MacPrefix): Statement {
  if (length % 8 === 0) return match(windowOf(length), Number(bits >> BigInt(macBits - length)));
  return match(and(windowOf(macBits), Number(maskOf(length))), Number(bits));
}

function setPrefix({ bits, length }: MacPrefix): Statement {
  if (length % 8 === 0) return mangle(windowOf(length), Number(bits >> BigInt(macBits - length)));
  const rest = Number(maskOf(macBits) & ~maskOf(length));
  return mangle(windowOf(macBits), or(and(windowOf(macBits), rest), Number(bits)));
}

function exchanging({ to, bridged }: Static<typeof rewriting>, site: Site): ActionFragment {
  if (!site.rule.families.includes(4))
    site.refuse('DHCP of IPv6 carries no hardware address like this', 'write a rule of IPv4');
  const from = matched(to, site);
  const name = `dhcpmac_${hexOf(from)}_${hexOf(to)}`;
  const lines = exchange(from, to);
  const target = site.sharedChain(name, lines);
  if (bridged !== undefined) {
    site.note('in table bridge, too, for what passes between the ports of a bridge');
    bridge(from, site, site.sharedChain(name, lines, 'bridge'));
  }
  site.note('the checksum follows by a detour over the port: the change is known when the rules are made');
  return { lines: [{ family: 4, statements: [{ jump: { target } }] }] };
}

const hexOf = ({ bits, length }: MacPrefix): string => `${bits.toString(16).padStart(12, '0')}_${length}`;

/** What the rule says that the message has now. */
function matched(to: MacPrefix, site: Site): MacPrefix {
  const example = formatMac({ value: Number(to.bits) });
  for (const word of site.ast.matches) {
    if (word.word !== 'extension' || word.name !== 'dhcpmac' || word.negated) continue;
    const from = word.spec as MacPrefix;
    if (from.length >= to.length) return { bits: from.bits & maskOf(to.length), length: to.length };
    site.refuse(
      `the rule knows ${from.length} bits of the address and exchanges ${to.length}: the checksum would be wrong`,
      `match at least ${to.length} bits, or exchange ${from.length}`,
    );
  }
  return site.refuse(
    'what is exchanged has to be known, or the checksum would be wrong',
    `add "dhcpmac:" with the old address, as in "dhcpmac: ${example}/${to.length}"`,
  );
}

const ports = [67, 68];

function exchange(from: MacPrefix, to: MacPrefix): Line[] {
  const change = fold(
    wordsOf(to.bits).reduce((sum, word, index) => sum + word + (0xffff ^ wordsOf(from.bits)[index]!), 0),
  );
  return [
    { statements: [setPrefix(to)] },
    { statements: [match(udp('checksum'), 0), returnVerdict] },
    ...ports.map((port) => ({
      statements: [
        match(udp('dport'), port),
        mangle(udp('dport'), fold(port + change)),
        mangle(raw('th', 16, 16), port),
        returnVerdict,
      ],
    })),
  ];
}

const wordsOf = (bits: bigint): number[] => [32n, 16n, 0n].map((shift) => Number((bits >> shift) & 0xffffn));

/** A sum of 16-bit words in one's complement (RFC 1071). */
function fold(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + (rest >>> 16);
  return rest;
}

/** Packets between ports of a bridge never come to the chains of IP. */
function bridge(from: MacPrefix, site: Site, target: string): void {
  const odd = site.ast.matches.find((word) => !isOfFrame(word));
  if (odd !== undefined || !site.hooks.includes('forward')) {
    site.refuse('bridged packets are matched by in, out, udp and dhcpmac alone, in forward', 'write a rule of its own');
  }
  const devices = site.ast.matches.flatMap((word): Statement[] => {
    if ((word.word !== 'in' && word.word !== 'out') || word.interfaces === 'any') return [];
    const name = meta(word.word === 'in' ? 'iifname' : 'oifname');
    const { any, not } = word.interfaces;
    return [
      ...(any.length > 0 ? [match(name, oneOf(any.map(({ device }) => device)))] : []),
      ...(not.length > 0 ? [match(name, oneOf(not.map(({ device }) => device)), '!=')] : []),
    ];
  });
  const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } as const;
  const isDhcp = match(udp('dport'), { set: ports });
  site.sharedBaseChain(
    'dhcpmac',
    base,
    [{ statements: [...devices, isDhcp, hasPrefix(from), goto(target)] }],
    'bridge',
  );
}

const isOfFrame = (word: Match): boolean =>
  word.word === 'in' ||
  word.word === 'out' ||
  word.word === 'udp' ||
  (word.word === 'extension' && word.name === 'dhcpmac');
