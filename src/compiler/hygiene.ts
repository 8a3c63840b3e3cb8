/** What every filter needs to work at all, and what no filter should let through. */

import type { Line } from '../extensions/fragment.js';
import { accept, and, ct, drop, match, matchAny, meta, or, payload, tcp, vmap } from '../nft/build.js';
import type { Expression } from '../nft/model.js';
import type { Hygiene } from '../policy/ast.js';
import { bits } from './words/transport.js';

export type FilterHook = 'input' | 'forward' | 'output';

/** Known connections, and what belongs to them: without related errors path MTU discovery would fail. */
export function stateLine(hook: FilterHook, dropInvalid: boolean): Line {
  const known = [
    ['established', accept],
    ['related', accept],
  ] as const;
  if (!dropInvalid || hook === 'output')
    return { statements: [matchAny(ct('state'), ['established', 'related']), accept] };
  return { statements: [vmap(ct('state'), [...known, ['invalid', drop]])] };
}

export const invalidLine: Line = { statements: [matchAny(ct('state'), ['invalid']), drop] };

/**
 * Loopback, and the messages without which IPv6 doesn't work on a link: conntrack doesn't track them. Neighbour
 * discovery (RFC 4861) always has hop limit 255, so that it can't come from elsewhere; multicast listeners
 * (RFC 2710, 3810) always 1. RFC 4890 names both as messages that must not be dropped.
 */
export function hygieneLines(hook: FilterHook, { loopback, neighbor }: Hygiene): Line[] {
  if (hook === 'forward') return [];
  const device = meta(hook === 'input' ? 'iifname' : 'oifname');
  return [...(loopback ? [{ statements: [match(device, 'lo'), accept] }] : []), ...(neighbor ? neighborLines : [])];
}

const messages = (types: readonly string[], hopLimit: number): Line => ({
  family: 6,
  statements: [match(payload('icmpv6', 'type'), { set: types }), match(payload('ip6', 'hoplimit'), hopLimit), accept],
});

const neighborLines: readonly Line[] = [
  messages(['nd-router-solicit', 'nd-router-advert', 'nd-neighbor-solicit', 'nd-neighbor-advert', 'nd-redirect'], 255),
  messages(['mld-listener-query', 'mld-listener-report', 'mld-listener-done', 'mld2-listener-report'], 1),
];

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const ACK = 0x10;
const URG = 0x20;

/** Combinations of flags that no TCP sends (RFC 9293): two of SYN, FIN, RST; FIN, PSH or URG without ACK; none. */
export function areBadFlags(flags: number): boolean {
  const ends = [FIN, SYN, RST].filter((flag) => (flags & flag) !== 0).length;
  const needAck = (flags & (FIN | PSH | URG)) !== 0;
  return ends > 1 || (needAck && (flags & ACK) === 0) || flags === 0;
}

/** One lookup: what isn't among the good combinations is dropped. */
export function badFlagsLine(): Line {
  const mask = FIN | SYN | RST | PSH | ACK | URG;
  const good = Array.from({ length: mask + 1 }, (_, flags) => flags).filter((flags) => !areBadFlags(flags));
  const flags: Expression = and(tcp('flags'), or('fin', 'syn', 'rst', 'psh', 'ack', 'urg'));
  return { statements: [match(flags, { set: good.map(bits) }, '!='), drop] };
}
