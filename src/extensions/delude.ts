/** DELUDE: every TCP port looks open to a scan, and a connection is refused as soon as it is made. */

import type { Static } from 'typebox';
import { drop, goto, rejectTcpReset, synproxy } from '../nft/build.js';
import { Type } from '../policy/schema-type.js';
import { type AnswerLimit, answerLimit, boundLines, defaultLimit } from './answer-limit.js';
import { actionWord, type Extension } from './extension.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import { trapped } from './ingress.js';
import { onlyProtocol } from './only.js';
import { answerSyn, answerUsual, byFamily } from './reflector.js';
import { toResponder } from './responder.js';
import type { Site } from './site.js';
import { areFlags, hasReset } from './tcp-flags.js';

const schema = Type.Object({ limit: answerLimit });

export const delude: Extension = {
  name: 'DELUDE',
  summary: 'Shows closed TCP ports to scanners as open.',
  actions: [
    actionWord(
      {
        name: 'delude',
        description: 'Pretend that the TCP port is open: take the SYN, and refuse everything after it.',
        schema,
        final: true,
        places: ['ingress', 'input', 'forward'],
      },
      { compile: deluding, netdev: true },
    ),
  ],
  iptables: [{ kind: 'target', module: 'DELUDE', options: {}, read: () => ({ action: 'delude' }) }],
  parity: {
    original: 'xt_DELUDE',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'answers have a time to live of 64; those of the original have 0 and end at the next router',
      'IPv6',
      'at ingress: the SYN+ACK keeps id, DF and the maximum segment size of the SYN; a SYN with data or IP options is refused instead of taken',
      'in input and forward: the SYN+ACK of IPv4 is that of synproxy, that of IPv6 comes from the daemon',
      'no more than 1000 answers a second, unless the policy says otherwise',
    ],
    checked:
      'the packets of the recorded module, for both families; connecting clients, local and routed; nmap -sS, -sT, -sF, -sX, -sN where it is installed',
  },
};

function deluding({ limit = defaultLimit }: Static<typeof schema>, site: Site): ActionFragment {
  onlyProtocol('delude', 6, site);
  if (site.hooks.includes('ingress')) {
    site.note('answered at ingress by turning the SYN round');
    return trapped('delude', limit, () => openLines(site), site);
  }
  site.note('SYNs are answered by synproxy (IPv4) or the daemon (IPv6), all else by a reset');
  return { ...does(goto(openChain(limit, site))), final: true };
}

/** At ingress, in `netdev`. */
export const openLines = (site: Site): Line[] =>
  byFamily(
    'trap_open',
    (family) => [
      { statements: [answerUsual(family, ['syn'], site)] },
      { statements: [areFlags('syn'), answerSyn(family, site)] },
      ...refusingLines,
    ],
    site,
  );

const refusingLines: readonly Line[] = [{ statements: [hasReset, drop] }, { statements: [rejectTcpReset] }];

/** The chain of input and forward. */
export function openChain(limit: AnswerLimit, site: Site): string {
  const number = site.numberOf('chain delude', JSON.stringify(limit));
  return site.sharedChain(`trap_delude${number === 1 ? '' : `_${number}`}`, [
    ...boundLines('delude', limit, site),
    { family: 4, statements: [areFlags('syn'), synproxy({ mss: 1460 })] },
    ...toResponder('delude', site, [areFlags('syn')]).map((line) => ({ ...line, family: 6 as const })),
    ...refusingLines,
  ]);
}
