/** ECHO: the UDP echo service (RFC 862), answered by turning the datagram round. */

import type { Static } from 'typebox';
import { drop, mangle, match, oneOf, payload, range, udp } from '../nft/build.js';
import type { Expression } from '../nft/model.js';
import { Type } from '../policy/schema-type.js';
import { answerLimit, defaultLimit } from './answer-limit.js';
import { actionWord, type Extension } from './extension.js';
import type { ActionFragment, Line } from './fragment.js';
import { sendBack, trapped } from './ingress.js';
import { onlyProtocol } from './only.js';
import { freshHops, isFirstFragment, turnAddresses, turnPorts } from './reflector.js';
import type { Site } from './site.js';

const schema = Type.Object({ limit: answerLimit });

export const echo: Extension = {
  name: 'ECHO',
  summary: 'Sends UDP datagrams back to where they came from.',
  actions: [
    actionWord(
      {
        name: 'echo',
        description: 'Send the UDP datagram back.',
        schema,
        final: true,
        places: ['ingress'],
      },
      { compile: echoing },
    ),
  ],
  iptables: [{ kind: 'target', module: 'ECHO', options: {}, read: () => ({ action: 'echo' }) }],
  parity: {
    original: 'xt_ECHO',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'at ingress; the original stands in INPUT and FORWARD',
      'datagrams from a port that answers, too (echo, daytime, chargen, or a port of the rule), are dropped: two hosts would send them to and fro for ever',
      "datagrams with IP options and fragments are dropped; a length that is longer than the datagram, which stops the original's kernel, goes back as it came",
      'a wrong checksum goes back wrong; the original computes a new one',
      'no more than 1000 answers a second, unless the policy says otherwise',
    ],
    checked:
      'the packets of the recorded module, both families; checksums recomputed; datagrams with and without a checksum',
  },
};

function echoing({ limit = defaultLimit }: Static<typeof schema>, site: Site): ActionFragment {
  onlyProtocol('echo', 17, site);
  const ports = answering(site);
  const number = site.numberOf('echo', JSON.stringify(ports));
  site.note('answered at ingress by turning the datagram round');
  return trapped(`echo_${number}`, limit, () => lines(ports, site), site);
}

/** Ports of services that answer to every datagram: daytime, quote of the day, chargen, time. */
const answeringServices: readonly Expression[] = [7, 13, 17, 19, 37];

/** Ports from which a datagram may be an answer itself. */
function answering({ ast }: Site): readonly Expression[] {
  const own = ast.matches.flatMap((word) =>
    (word.word === 'udp' || word.word === 'port') && word.ports !== 'any'
      ? word.ports.any.map(({ first, last }) => range(first, last))
      : [],
  );
  const more = own.filter((port) => !answeringServices.includes(port));
  return [...answeringServices, ...more];
}

function lines(ports: readonly Expression[], site: Site): Line[] {
  return [
    { statements: [isFirstFragment, drop] },
    { statements: [match(udp('sport'), oneOf(ports)), drop] },
    // The original answers no empty datagrams.
    { statements: [match(udp('length'), 8, '<='), drop] },
    ...([4, 6] as const).map((family): Line => {
      const target = site.sharedChain(`trap_echo${family}`, echoChain(family, site), 'netdev');
      const isPlain = family === 4 ? match(payload('ip', 'hdrlength'), 5) : match(payload('ip6', 'nexthdr'), 'udp');
      return { statements: [isPlain, { goto: { target } }] };
    }),
    { statements: [drop] },
  ];
}

function echoChain(family: 4 | 6, site: Site): Line[] {
  const whole = family === 4 ? [mangle(payload('ip', 'frag-off'), 0)] : [];
  return sendBack([...turnAddresses(family), ...turnPorts, ...whole, freshHops(family)], site);
}
