/** Actions that decide: `accept`, `drop`, `block`, `reject`, `return`, `jump`, `goto`. */

import { type ActionFragment, does, type Line } from '../../extensions/fragment.js';
import { accept, drop, goto, jump, match, meta, reject, rejectTcpReset, returnVerdict } from '../../nft/build.js';
import type { Statement } from '../../nft/model.js';
import type { Action, RejectWith } from '../../policy/ast.js';
import type { Draft } from '../draft/draft.js';
import type { RuleSite } from '../site.js';

const final = (...statements: readonly Statement[]): ActionFragment => ({ ...does(...statements), final: true });

export const accepting: ActionFragment = final(accept);
export const dropping: ActionFragment = final(drop);
export const returning: ActionFragment = { ...final(returnVerdict), leaves: true };

/** What `block_policy` says: silence, or an answer that closes the connection. */
export function blocking(site: RuleSite): ActionFragment {
  if (site.policy.blockPolicy === 'drop') return dropping;
  return final(goto(blockChain(site.draft, site)));
}

/** TCP is reset, UDP told that nobody listens, all else dropped. */
export function blockChain(draft: Draft, { at }: { readonly at: RuleSite['at'] }): string {
  const lines: readonly Line[] = [
    { statements: [match(meta('l4proto'), 'tcp'), rejectTcpReset] },
    { statements: [match(meta('l4proto'), 'udp'), reject('icmpx', 'port-unreachable')] },
    { statements: [drop] },
  ];
  return draft.chainOf('block', 'block', lines, at);
}

/** ICMP's words, the same for both families. */
const unreachable: Readonly<Record<Exclude<RejectWith, 'tcp-reset'>, string>> = {
  default: 'port-unreachable',
  port: 'port-unreachable',
  host: 'host-unreachable',
  net: 'no-route',
  admin: 'admin-prohibited',
};

export function rejecting({ with: how }: Extract<Action, { action: 'reject' }>): ActionFragment {
  return final(how === 'tcp-reset' ? rejectTcpReset : reject('icmpx', unreachable[how]));
}

/** To another chain of the policy, in the hooks of this one. */
export function going(action: Extract<Action, { action: 'jump' | 'goto' }>, site: RuleSite): ActionFragment {
  const target = site.standing.chainNamed(action.chain, site);
  return action.action === 'goto' ? { ...final(goto(target)), leaves: true } : does(jump(target));
}
