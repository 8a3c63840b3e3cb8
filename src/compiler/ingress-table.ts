/**
 * Which table an ingress chain stands in. `inet` has the policy's tables and whatever else rules share; but what sends a
 * packet back stands in `netdev`, so that traps there need the packet's mark and a second chain behind, which costs every
 * packet of the device 140 ns. A chain that shares nothing stands in `netdev` itself.
 */

import type { Words } from '../extensions/registry.js';
import { accept, match, meta, oneOf } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import type { Action, Chain, Match } from '../policy/ast.js';

export interface IngressTable {
  readonly family: 'inet' | 'netdev';
  /** Why, for `compile --explain`. */
  readonly because: string;
}

export function ingressTable({ rules, policy }: Chain, words: Words): IngressTable {
  if (policy === 'block') return { family: 'inet', because: 'its policy answers to what it blocks' };
  const other = rules
    .flatMap(({ matches, actions }) => [
      matches.find((match) => !standsInNetdev(match)),
      actions.find((action) => !runsInNetdev(action, words)),
    ])
    .find((word) => word !== undefined);
  if (other !== undefined) {
    const because = `line ${other.at.line} needs what only inet has; traps answer from a chain of netdev behind it`;
    return { family: 'inet', because };
  }
  return { family: 'netdev', because: 'no rule needs more than the packet; traps are gone to at once' };
}

/** Does the word look at nothing but the packet? */
function standsInNetdev(match: Match): boolean {
  switch (match.word) {
    case 'in':
    case 'family':
    case 'proto':
    case 'tcp':
    case 'udp':
    case 'port':
    case 'sport':
    case 'icmp':
    case 'flags':
    case 'fragment':
    case 'short':
      return true;
    case 'from':
    case 'to':
      return (
        match.addresses === 'any' ||
        [...match.addresses.any, ...match.addresses.not].every(({ kind }) => kind === 'range')
      );
    default:
      return false;
  }
}

function runsInNetdev(action: Action, words: Words): boolean {
  if (action.action === 'extension') return words.action(action.name).netdev === true;
  return action.action === 'accept' || action.action === 'drop' || action.action === 'count';
}

/**
 * To `inet` no other packets than those of IPv4 and IPv6 come; to `netdev` all do. Only a rule without any word about them, and the
 * chain's policy, would take those.
 */
export function othersPass({ rules, policy = 'accept' }: Chain): readonly Statement[] | undefined {
  const isAboutIp = rules.every(({ matches }) => matches.some(namesIp));
  if (isAboutIp && policy === 'accept') return undefined;
  return [match(meta('protocol'), oneOf(['ip', 'ip6']), '!='), accept];
}

/** Such a word never holds for ARP. */
function namesIp(match: Match): boolean {
  if (match.word === 'from' || match.word === 'to') return match.addresses !== 'any';
  if (match.word === 'flags') return match.flags !== 'any';
  return match.word !== 'in';
}
