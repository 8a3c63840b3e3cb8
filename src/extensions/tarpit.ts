/**
 * TARPIT: takes TCP connections and never lets them send or end. At ingress by the reflector, in input and forward by
 * `synproxy` (IPv4); what the kernel can't answer (IPv6 there, segments with data, the other modes) goes to the
 * responder of the daemon as a copy, and is dropped.
 */

import type { Static } from 'typebox';
import type { Family } from '../net/address.js';
import { goto, rejectTcpReset, synproxy } from '../nft/build.js';
import { Type } from '../policy/schema-type.js';
import { type AnswerLimit, answerLimit, boundLines, defaultLimit } from './answer-limit.js';
import { actionWord, type Extension } from './extension.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import { notForUs, trapped } from './ingress.js';
import type { IptablesSyntax } from './iptables.js';
import { onlyProtocol } from './only.js';
import { answerAck, answerSyn, answerUsual, byFamily } from './reflector.js';
import { toResponder } from './responder.js';
import type { Site } from './site.js';
import { areFlags } from './tcp-flags.js';

const schema = Type.Object({
  mode: Type.Optional(
    Type.Union([Type.Literal('tarpit'), Type.Literal('honeypot'), Type.Literal('reset')], {
      description: 'Hold the connection (the default), take all data, or answer everything with a reset.',
    }),
  ),
  limit: answerLimit,
});

export const tarpit: Extension = {
  name: 'TARPIT',
  summary: 'Holds TCP connections open and lets nothing through them.',
  actions: [
    actionWord(
      {
        name: 'tarpit',
        description: 'Take the TCP connection and hold it: the other side may not send, and is not let go.',
        schema,
        final: true,
        places: ['ingress', 'input', 'forward'],
      },
      { compile: holding, netdev: true },
    ),
  ],
  iptables: [syntax()],
  parity: {
    original: 'xt_TARPIT',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'IPv6 works in all modes; in 3.x it answers nothing, or segments without flags',
      'at ingress: the SYN+ACK has window 0 instead of 5, so that the client never sends data, and keeps id, DF and the maximum segment size of the SYN',
      'at ingress: the checksum of the packet is not verified first, and a wrong one stays wrong in the answer',
      'in input and forward: the SYN+ACK of IPv4 is that of synproxy, with a cookie as its number',
      'segments with data, the modes honeypot and reset, and IPv6 in input and forward are answered by the daemon; without it they are dropped',
      'no more than 1000 answers a second, unless the policy says otherwise',
    ],
    checked:
      'the packets of the recorded module and its vectors; real clients of both families, local and routed, whose data is never taken, with conntrack empty afterwards; how long a client is held in each form; nmap where it is installed',
  },
};

function syntax(): IptablesSyntax {
  return {
    kind: 'target',
    module: 'TARPIT',
    options: { tarpit: 0, honeypot: 0, reset: 0 },
    read(options) {
      const mode = [...options.keys()].at(-1) ?? 'tarpit';
      return { action: mode === 'tarpit' ? 'tarpit' : { tarpit: { mode } } };
    },
  };
}

function holding({ mode = 'tarpit', limit = defaultLimit }: Static<typeof schema>, site: Site): ActionFragment {
  onlyProtocol('tarpit', 6, site);
  if (mode !== 'tarpit') {
    site.note(`mode ${mode}: answered by the daemon, from copies of the packets`);
    const others = site.hooks.includes('ingress') ? [notForUs] : [];
    return ending(chainWith(mode, limit, [...others, ...toResponder(mode, site)], site));
  }
  if (site.hooks.includes('ingress')) {
    site.note('answered at ingress by turning packets round: no conntrack, no route; segments with data by the daemon');
    return trapped('tarpit', limit, () => reflectedLines(site), site);
  }
  site.note('IPv4: SYNs are answered by synproxy; IPv6, and what comes after the SYN, by the daemon');
  return ending(heldChain(limit, site));
}

const ending = (target: string): ActionFragment => ({ ...does(goto(target)), final: true });

function chainWith(name: string, limit: AnswerLimit, lines: readonly Line[], site: Site): string {
  const number = site.numberOf(`chain ${name}`, JSON.stringify(limit));
  return site.sharedChain(`trap_${name}${number === 1 ? '' : `_${number}`}`, [
    ...boundLines(name, limit, site),
    ...lines,
  ]);
}

/** At ingress, in `netdev`. */
export const reflectedLines = (site: Site): Line[] =>
  byFamily('trap_hold', (family) => familyLines(family, site), site);

/** What is usual is found with one lookup; behind it are segments with further flags, or for the daemon. */
const familyLines = (family: Family, site: Site): Line[] => [
  { statements: [answerUsual(family, ['syn', 'ack'], site)] },
  { statements: [areFlags('syn'), answerSyn(family, site)] },
  { statements: [areFlags('ack'), ...answerAck(family, site)] },
  { statements: [areFlags('syn', 'ack'), rejectTcpReset] },
  ...toResponder('tarpit', site),
];

/** The chain of input and forward. */
export const heldChain = (limit: AnswerLimit, site: Site): string =>
  chainWith(
    'tarpit',
    limit,
    [
      { family: 4, statements: [areFlags('syn'), synproxy({ mss: 1460 })] },
      { statements: [areFlags('syn', 'ack'), rejectTcpReset] },
      ...toResponder('tarpit', site),
    ],
    site,
  );
