/** The actions of a rule, but for those that translate addresses. */

import { accountJump } from '../../extensions/account.js';
import { type ActionFragment, does } from '../../extensions/fragment.js';
import type { Words } from '../../extensions/registry.js';
import { setMarkBits } from '../../nft/build.js';
import type { Action } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';
import { logging } from './log.js';
import { accepting, blocking, dropping, going, rejecting, returning } from './verdicts.js';

export function compileAction(action: Action, site: RuleSite, words: Words): ActionFragment {
  switch (action.action) {
    case 'accept':
      return accepting;
    case 'drop':
      return dropping;
    case 'block':
      return blocking(site);
    case 'reject':
      return rejecting(action);
    case 'return':
      return returning;
    case 'jump':
    case 'goto':
      return going(action, site);
    case 'count':
      // Every rule of the policy counts.
      return does();
    case 'log':
      return logging(action.log, site);
    case 'mark':
      return does(setMarkBits(action.of === 'packet' ? 'meta' : 'ct', action.mask >>> 0, action.value >>> 0));
    case 'add':
      return does(site.table(action.table).add(action.what, action.timeoutMs));
    case 'delete':
      return { lines: site.table(action.table).delete(action.what) };
    case 'account':
      seesEveryPacket('account', site, 'at the head of the chain');
      return does(accountJump(action.account, site));
    case 'extension': {
      const compiler = words.action(action.name);
      if (compiler.everyPacket) seesEveryPacket(action.name, site);
      return compiler.compile(action.spec, site.from(action.at, action.name));
    }
    case 'notrack':
    case 'masquerade':
    case 'snat':
    case 'dnat':
    case 'redirect':
    case 'map':
      throw new Error(`${action.action} is compiled where it works, not here`);
  }
}

/** The acceptance that the compiler adds stands before the first rule that does more than count. */
const aboveStates = 'above a rule of this chain that accepts "state: [established, related]"';

/** Warns where known connections are accepted above. @param where the word would see all packets */
export function seesEveryPacket(word: string, site: RuleSite, where = aboveStates): void {
  if (!site.belowStateRule || site.ast.matches.some((match) => match.word === 'state')) return;
  site.warn(
    `${word} sees only the first packets of connections here: those of known connections are accepted above`,
    `put the rule ${where}, or in prerouting`,
  );
}
