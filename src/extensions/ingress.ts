/**
 * Answers at ingress, by turning the packet round: before bridging, conntrack, routing and every other chain, for local
 * addresses and for those that are routed through this host. What sends a packet back exists in `netdev` only. A rule
 * that stands there goes to its trap; one of `inet`, where tables are, writes the trap's number into the packet's mark, and
 * a chain right behind it in `netdev` goes on from there.
 */

import {
  accept,
  and,
  counter,
  drop,
  fib,
  goto,
  lookup,
  mangle,
  match,
  meta,
  payload,
  setMarkBits,
} from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { type AnswerLimit, boundLines, trapCounter } from './answer-limit.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import type { MarkField } from './roles.js';
import type { Site } from './site.js';

/** Traps with different options that rules of `inet` may have at ingress: 15. */
const bits = 4;
/** Behind the policy's chain, at -500. */
const priority = -499;
/** Names of devices whose frames have no Ethernet header. */
const withoutHeader = /^(lo$|ppp|tun|wg|sl|gre|sit|tunl|ip6tnl|ipip|vti|xfrm|wwan|rmnet)/;

/** Sends packets to a trap: a chain of `netdev` that answers or drops. `key` tells traps with other options apart. */
export function trapped(key: string, within: AnswerLimit, lines: () => readonly Line[], site: Site): ActionFragment {
  const devices = devicesOf(site);
  const number = site.numberOf('trap', `${key} ${JSON.stringify(within)}`);
  const target = site.sharedChain(
    `trap_${number}_${key}`,
    [notForUs, ...boundLines(key, within, site, 'netdev'), ...lines()],
    'netdev',
  );
  if (site.family === 'netdev') return { ...does(goto(target)), final: true };
  if (number >= 2 ** bits)
    site.refuse(`more than ${2 ** bits - 1} different traps don't fit`, 'give them the same options');
  const field = site.markBits('packet', 'traps at ingress', bits);
  dispatch(field, number, target, devices, site);
  return {
    lines: [{ statements: [setMarkBits('meta', field.mask, markOf(field, number)), accept] }],
    inline: true,
    final: true,
  };
}

const markOf = ({ shift }: MarkField, number: number): number => (number << shift) >>> 0;

function devicesOf(site: Site): readonly string[] {
  const devices = site.policy.chains.get('ingress')?.on?.map(({ device }) => device) ?? [];
  const without = devices.find((device) => withoutHeader.test(device));
  if (without !== undefined) {
    site.refuse(
      `${without} has no Ethernet header, in which an answer at ingress is turned round`,
      'write the rule in input or forward',
    );
  }
  return devices;
}

function dispatch(field: MarkField, number: number, target: string, devices: readonly string[], site: Site): void {
  const mark = and(meta('mark'), field.mask);
  const base = { type: 'filter', hook: 'ingress', priority, policy: 'accept', devices } as const;
  site.sharedBaseChain('traps', base, [], 'netdev');
  site.sharedBranch('traps', mark, 0, accept, 'netdev');
  site.sharedBranch('traps', mark, markOf(field, number), goto(target), 'netdev');
}

/** What a bridge or a tap sees of others is none of ours. */
export const notForUs: Line = { statements: [match(meta('pkttype'), 'host', '!='), accept] };

/**
 * Nobody else sends from our addresses. Where the answer to an answer would be another one, and a router brings back what
 * is sent to ourselves, it would go on for ever.
 */
export const fromOurselves: Line = { statements: [match(fib(['saddr'], 'type'), 'local'), drop] };

/**
 * Back to where it came from. A device of which the MAC isn't known yet, or which has none, doesn't answer: the rule ends
 * there.
 */
export function sendBack(change: readonly Statement[], site: Site): Line[] {
  const macs = site.set({
    role: { kind: 'device-macs', devices: devicesOf(site) },
    table: 'netdev',
    key: { type: ['ifname'] },
    data: { type: ['ether_addr'] },
    flags: [],
    size: 256,
  });
  return [
    {
      statements: [
        ...change,
        mangle(payload('ether', 'saddr'), lookup(meta('iifname'), macs)),
        ...(site.family === 'netdev' ? [] : [mangle(meta('mark'), 0)]),
        { fwd: { dev: meta('iif') } },
      ],
    },
    { statements: [counter(trapCounter('device', 'without_mac', site, 'netdev')), drop] },
  ];
}
